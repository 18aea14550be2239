"""Ridge and pairwise head: what they fit, that orders exchange, and that checkpoints hold them."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler

from lmol.errors import DataError
from lmol.evaluation.judge import judge
from lmol.evaluation.metrics import order_consistency
from lmol.model.baseline.pairwise_head import PairwiseHead
from lmol.model.baseline.ridge import Ridge as RidgeModel
from lmol.model.baseline.ridge import inner_groups
from lmol.model.baseline.tie_band import answer_logits, fit_band
from lmol.model.checkpoint import load_checkpoint, save_checkpoint
from lmol.model.features import cache_features
from lmol.model.spec import build_model
from tests.baselines import HEAD, PENALTIES, RIDGE, built, known, random_encoder

SPECS = pytest.mark.parametrize("spec", [RIDGE, HEAD], ids=["ridge", "pairwise_head"])


@pytest.fixture
def parts():
    """Training and validation images whose scores are linear in six features, with noise."""
    rng = np.random.default_rng(0)
    features = rng.normal(3.0, [1, 2, 5, 1, 1, 1], (90, 6))
    scores = features @ [0.5, 0.2, 0.0, -0.3, 0.0, 0.1] + rng.normal(0, 0.3, 90)
    images = pd.DataFrame({"image": [f"{i:02}" for i in range(90)], "score": scores})
    vectors = torch.tensor(features, dtype=torch.float32).unsqueeze(1)
    return known(images[:60], vectors[:60]), known(images[60:], vectors[60:])


def ridge():
    return RidgeModel(random_encoder(), RIDGE, {}).eval()


def plain(part, penalty, rows):
    """Scores of all images of a part by plain scikit-learn, fitted to some of its rows."""
    vectors = part.features.squeeze(1).double().numpy()
    scaler = StandardScaler().fit(vectors[rows])
    scores = part.images["score"].to_numpy()
    fitted = Ridge(penalty).fit(scaler.transform(vectors[rows]), scores[rows])
    return fitted.predict(scaler.transform(vectors))


def test_ridge_is_that_of_scikit_learn_with_the_penalty_of_inner_folds(parts):
    training, validation = parts
    model = ridge()
    facts = model.fit(training, validation)
    scores, place = training.images["score"].to_numpy(), np.arange(60)
    quality = {
        penalty: np.mean([
            r2_score(scores[place % 3 == fold],
                     plain(training, penalty, place % 3 != fold)[place % 3 == fold])
            for fold in range(3)
        ])
        for penalty in PENALTIES
    }  # fmt: skip
    best = max(quality, key=lambda penalty: quality[penalty])
    assert facts["penalty"] == best
    assert facts["inner_r2"] == pytest.approx(quality[best])
    found = model.scores(training.features).detach().numpy()
    np.testing.assert_allclose(found, plain(training, best, place >= 0), atol=1e-4)


def test_score_and_penalty_do_not_depend_on_validation_images(parts):
    training, validation = parts
    one, other = ridge(), ridge()
    facts = one.fit(training, validation)
    assert other.fit(training, known(validation.images[:9], 9 - validation.features[:9])) == facts
    assert torch.equal(one.weight, other.weight)
    assert torch.equal(one.bias, other.bias)
    assert not torch.equal(one.slope, other.slope)


def test_images_of_a_subject_are_in_one_inner_fold():
    images = pd.DataFrame({"image": list("abcd"), "score": 1.0, "subject": list("xyxz")})
    assert inner_groups(images, 3).tolist() == [0, 1, 0, 2]
    with pytest.raises(DataError, match=r"inner_folds: got 4, for 3 training images or subjects"):
        inner_groups(images, 4)


def test_images_without_scores_are_one_message(parts):
    training, validation = parts
    votes = known(training.images, training.features)
    object.__setattr__(votes, "images", votes.images.drop(columns="score"))
    with pytest.raises(DataError, match=r"without scores.*\n.*model=pairwise_head"):
        ridge().fit(votes, validation)


def test_the_band_of_simulated_answers_is_recovered():
    rng = np.random.default_rng(1)
    gaps = rng.normal(0, 0.7, 40_000)
    shares = softmax(answer_logits(gaps, 2.5, 0.8), axis=1)
    answers = np.eye(3)[(shares.cumsum(1) > rng.random((len(gaps), 1))).argmax(1)]
    slope, band = fit_band(gaps, answers, np.ones(len(gaps)))
    assert slope == pytest.approx(2.5, abs=0.1)
    assert band == pytest.approx(0.8, abs=0.05)


def test_a_pair_counts_by_its_weight():
    gaps, labels = np.array([1.0, 0.1, 0.1]), np.eye(3)[[0, 2, 1]]
    doubled = fit_band(gaps[[0, 1, 1, 2]], labels[[0, 1, 1, 2]], np.ones(4))
    assert fit_band(gaps, labels, np.array([1.0, 2.0, 1.0]))[1] == pytest.approx(
        doubled[1], abs=1e-2
    )


@pytest.mark.parametrize("label", [0, 2])
def test_answers_without_an_error_leave_numbers_finite(label):
    gaps = np.array([0.5, 1.0, 2.0])
    assert np.isfinite(fit_band(gaps, np.eye(3)[[label] * 3], np.ones(3))).all()
    assert np.isfinite(fit_band(0 * gaps, np.eye(3)[[label] * 3], np.ones(3))).all()


def test_ridge_answers_by_the_gap_of_two_scores():
    model = ridge()
    with torch.no_grad():
        model.weight[0], model.slope[...], model.band[...] = 2.0, 3.0, 1.0
    features = torch.zeros(1, 2, 1, 6)
    features[0, 0, 0, 0] = 0.5
    logits = model.pair_logits(features, both_orders=True)
    assert logits.tolist() == [[[3.0, -3.0, 1.0], [-3.0, 3.0, 1.0]]]


def test_the_head_of_two_equal_images_leans_to_neither():
    torch.manual_seed(0)
    model = PairwiseHead(random_encoder(), HEAD, {}).eval()
    features = torch.randn(4, 1, 1, 6).expand(4, 2, 1, 6)
    logits = model.pair_logits(features, both_orders=False)[:, 0]
    torch.testing.assert_close(logits[:, :2], torch.zeros(4, 2), atol=1e-6, rtol=0)
    apart = model.pair_logits(torch.randn(4, 2, 1, 6), both_orders=False)[:, 0]
    assert (apart[:, :2].sum(1) == 0).all()
    assert len(apart[:, 2].unique()) == 4


def test_every_tensor_of_the_head_is_trained_and_nothing_else():
    model = built(HEAD)
    trained = {name for name, one in model.named_parameters() if one.requires_grad}
    assert {name.partition(".")[0] for name in trained} == {"head", "lean", "near"}
    model.pair_logits(torch.randn(4, 2, 1, 320), both_orders=True).square().sum().backward()
    trained_by = [one.grad for one in model.parameters() if one.requires_grad]
    assert all(one is not None and (one != 0).any() for one in trained_by)
    assert set(model.parameter_groups()) == {"model", "model_bias"}


@SPECS
def test_a_checkpoint_builds_the_same_model_again(spec, faces, tmp_path):
    torch.manual_seed(0)
    model, images = built(spec), faces[:30]
    store = cache_features(model.encoder, images, lambda num: None)
    part = known(images, store.read(images["image"].tolist()))
    if isinstance(model, RidgeModel):
        model.fit(part, part)
    asked = part.pairs[:40]
    answers = judge(model, asked, store, 16)
    assert order_consistency(answers) == 1
    np.testing.assert_allclose(answers[:, 1], answers[:, 0][:, [1, 0, 2]], atol=1e-6)
    save_checkpoint(model, tmp_path / "saved", {})
    again = build_model(model.spec)
    assert again.identity() != model.identity()
    load_checkpoint(again, tmp_path / "saved")
    assert again.identity() == model.identity()
    assert np.array_equal(judge(again.eval(), asked, store, 16), answers)


@SPECS
def test_another_encoder_is_another_model(spec):
    model, other = built(spec), built(spec)
    with torch.no_grad():
        next(other.network.parameters()).add_(1)
    assert other.fingerprint() != model.fingerprint()


@SPECS
def test_a_relocated_spec_names_the_new_folder(spec):
    assert spec.relocated("/elsewhere").encoder["weights"] == "/elsewhere"
