"""The comparer computes what stock LLaVA computes, and treats both orders alike."""

import torch
from PIL import Image

from lmol.model.features import PixelImages, cache_features


def pixels_of(comparer, faces, num=3):
    images = PixelImages(comparer.encoder.preprocess, faces)
    names = list(images)
    return torch.stack(
        [torch.stack([images[names[2 * p]], images[names[2 * p + 1]]]) for p in range(num)]
    )


def test_logits_equal_those_of_the_stock_forward_with_the_stock_processor(comparer, faces):
    paths = faces["path"].tolist()[:2]
    opened = [Image.open(path).convert("RGB") for path in paths]
    inputs = comparer.base.processor(text=comparer.prompt.text, images=opened, return_tensors="pt")
    with torch.no_grad():
        stock = comparer.adapted(**inputs).logits[0, -1, list(comparer.prompt.answer_ids)]
        ours = comparer(pixel_values=pixels_of(comparer, faces, num=1))[0, 0]
    torch.testing.assert_close(ours, stock, atol=1e-5, rtol=0)


def test_cached_features_give_the_logits_of_pixels(comparer, faces):
    cached = cache_features(comparer.encoder, faces, lambda images: None)
    pixels = pixels_of(comparer, faces)
    names = list(cached)
    features = torch.stack([cached.read(names[2 * pair : 2 * pair + 2]) for pair in range(3)])
    with torch.no_grad():
        torch.testing.assert_close(
            comparer(features=features), comparer(pixel_values=pixels), atol=1e-5, rtol=0
        )


def test_swapping_the_images_exchanges_the_orders(comparer, faces):
    features = comparer.encoder.encode(pixels_of(comparer, faces).flatten(0, 1))
    pairs = features.unflatten(0, (-1, 2))
    with torch.no_grad():
        here, there = comparer(features=pairs), comparer(features=pairs.flip(1))
    torch.testing.assert_close(here, there.flip(1), atol=1e-6, rtol=0)
    assert not torch.allclose(here[:, 0], here[:, 1]), "order 1 must really be another question"


def test_one_order_is_order_0_of_both(comparer, faces):
    pixels = pixels_of(comparer, faces)
    with torch.no_grad():
        one, both = comparer(pixel_values=pixels, both_orders=False), comparer(pixel_values=pixels)
    torch.testing.assert_close(one[:, 0], both[:, 0], atol=1e-6, rtol=0)


def test_recomputed_activations_give_the_same_gradients(comparer, faces):
    pixels = pixels_of(comparer, faces)

    def gradients():
        comparer.zero_grad()
        comparer.train()(pixel_values=pixels).square().sum().backward()
        return [p.grad.clone() for p in comparer.parameters() if p.requires_grad]

    kept = gradients()
    comparer.enable_activation_checkpointing()
    torch.testing.assert_close(gradients(), kept)
