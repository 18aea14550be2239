"""SCUT-FBP5500's layout in small: ten images a group, five official folds of eight."""

from pathlib import Path

from PIL import Image

NEWER = ("AF", "AM", "CF", "CM")
OLDER = ("fty", "mty", "ftw", "mtw")


def lists_of(root: Path, fold: int) -> tuple[Path, Path]:
    """The training and the test list of a fold."""
    folds = root / "train_test_files" / "5_folders_cross_validations_files"
    folder = folds / f"cross_validation_{fold}"
    return folder / f"train_{fold}.txt", folder / f"test_{fold}.txt"


def write_release(root: Path, *, older_names: bool = False) -> Path:
    """40 images of 8 x 8 pixels, scores 1.0 to 4.9, and all lists; returns root."""
    names = [f"{p}{k}.jpg" for k in range(1, 11) for p in (OLDER if older_names else NEWER)]
    lines = [f"{name} {1 + 0.1 * index:.6f}\n" for index, name in enumerate(names)]
    (root / "Images").mkdir(parents=True)
    for index, name in enumerate(names):
        Image.new("RGB", (8, 8), (6 * index, 0, 0)).save(root / "Images" / name)
    for fold in range(1, 6):
        train, test = lists_of(root, fold)
        train.parent.mkdir(parents=True)
        held_out = lines[fold - 1 :: 5]
        test.write_text("".join(held_out))
        train.write_text("".join(line for line in lines if line not in held_out))
    (root / "train_test_files" / "All_labels.txt").write_text("".join(lines))
    return root
