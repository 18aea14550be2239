"""What usually helps, by rule of the audit and of health: one or two sentences each."""

from __future__ import annotations

ADVICE = {
    "missing_gradient": "The tensor takes no part in the loss: look for a detach, a no_grad or a "
    "branch that is not computed between it and the answer.",
    "zero_gradient": "What follows passes nothing back: look for a saturated activation, a zero "
    "weight, or a loss that does not depend on it.",
    "broken_gradient": "See the first table in which it stands; lower the learning rates, or train "
    "in bf16 instead of fp16.",
    "vanishing_depth": "Early layers learn next to nothing: look at the layer where the gradient "
    "falls off, and at the residual stream there (activation table).",
    "exploding_depth": "Early layers are pushed far more than late ones: set optim.grad_clip, and "
    "look at the residual stream's growth in the activation table.",
    "projector_dominates": "Clipping by the common norm leaves LoRA almost nothing: lower "
    "optim.lr_projector, lengthen optim.warmup_ratio, or start with model.projector=pretrained.",
    "unmoved_weights": "See that the optimizer has these very tensors, not older copies.",
    "zero_learning_rate": "Raise optim.lr_lora or optim.lr_projector, unless this is meant; see "
    "that the optimizer has the tensors.",
    "lost_updates": "Steps are smaller than the weights can resolve: raise the learning rate, or "
    "keep trained weights in fp32.",
    "large_updates": "Lower the learning rate of that group tenfold; lengthen optim.warmup_ratio.",
    "frozen_adapter": "Something called requires_grad_(False) after the adapters were put on.",
    "misplaced_adapter": "Give model.lora.targets full paths of the language model, such as "
    r".*language_model\..*\.(q|k|v|o)_proj.",
    "frozen_weights_changed": "Something writes into the base: an optimizer with all parameters, a "
    "merge in place, or broken memory. The checkpoint does not fit its base any more.",
    "dead_relu": "Lower the learning rate; look at the bias before it and at its inputs.",
    "saturated_sigmoid": "Its inputs are too large: lower the learning rate, or normalise them.",
    "saturated_tanh": "Its inputs are too large: lower the learning rate, or normalise them.",
    "flat_gelu": "Its inputs have drifted to the left: lower the learning rate; look at the bias "
    "before it.",
    "scale_mismatch": "Images or text drown the other in attention: scale the projector's last "
    "layer, warm it up alone with a small optim.lr_lora, or start with model.projector=pretrained.",
    "residual_overflow": "Use bf16, which holds numbers up to 3e38, in train.precision and "
    "model.backbone.dtype.",
    "collapsed_attention": "Lower optim.lr_lora; heads that copy one position pass back little.",
    "skipped_steps": "Overflowing steps are lost: use train.precision=bf16, or lower the learning "
    "rates so that gradients fit.",
    "dead_answer": "The model never says it: raise train.loss.w_similar, see how labels are "
    "distributed in pairs/, and look at the answers' tokens.",
    "one_class_data": "There is next to nothing to tell apart: see data.theta, the scores, and "
    "data.schedule.",
    "contradictory_orders": "The swapped order must have the swapped label: see the collator.",
    "contradictory_labels": "These pairs teach what the scores deny: prepare them again, and see "
    "who wrote the column label.",
    "non_finite_loss": "Lower the learning rates, set optim.grad_clip, or train in bf16; where "
    "images are named, take them out.",
    "non_finite_gradient": "Lower the learning rates, set optim.grad_clip, or train in bf16.",
    "loss_spike": "Lower the learning rates or lengthen optim.warmup_ratio.",
    "loss_too_small": "See whether the answer, or what tells it, stands in the input, and whether "
    "pairs repeat.",
    "gradient_norm_high": "Lower the learning rates or lengthen optim.warmup_ratio; raise the "
    "threshold where training goes well all the same.",
    "gradient_explosion": "Look at the pairs of that step; lower the learning rates if it returns.",
    "stalled_accuracy": "Raise the learning rates tenfold; see that labels follow the images, and "
    "that features tell images apart.",
    "one_class_collapse": "Lower the learning rates; see how labels are distributed and weighed.",
    "throughput_drop": "See what else runs on the machine, its temperature, and its memory.",
    "chance_validation": "What is learnt does not carry over: see that scores belong to their "
    "images, add images, or train for a shorter time.",
    "overfitting": "Set train.early_stopping, train for fewer epochs, or add images, LoRA dropout "
    "or weight decay.",
    "rising_validation_loss": "Answers grow surer than they are right, though accuracy may still "
    "gain: use the calibrated temperature of metrics.json where probabilities matter; otherwise as "
    "for overfitting.",
}
