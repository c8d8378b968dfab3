"""Small folders of exactly the form that the authors of each data set use."""

import io
import tarfile
import zipfile

import numpy as np
from PIL import Image

#: the second line of the file, as it is published
CELEBA_HEADER = """
    5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose
    Black_Hair Blond_Hair Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses
    Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male Mouth_Slightly_Open Mustache
    Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks
    Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick
    Wearing_Necklace Wearing_Necktie Young
"""
CELEBA_ATTRIBUTES = CELEBA_HEADER.split()

FAIRFACE_AGES = [
    *("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69"),
    "more than 70",
]
FAIRFACE_RACES = [
    *("White", "Black", "Latino_Hispanic", "East Asian", "Southeast Asian", "Indian"),
    "Middle Eastern",
]


def jpeg(content):
    """Bytes of a small image; different numbers give different bytes."""
    pixels = np.random.default_rng(content).integers(256, size=(16, 12, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def write_images(folder, names, contents=None):
    for number, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(number if contents is None else contents[number]))


def size_of(path):
    with Image.open(path) as image:
        return image.size


def write_lines(file, lines):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{line}\n" for line in lines))


def replace_line(file, line, text):
    """Write another text into a line, which counts from 1; None deletes it."""
    lines = file.read_text().splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    write_lines(file, lines)


def waterbirds(folder, n=24):
    """Rows cycle through split, kind of bird and place."""
    lines, names = ["img_id,img_filename,y,split,place,place_filename"], []
    for row in range(n):
        y, place, split = row % 2, row // 2 % 2, row // 4 % 3
        kind = ("059.California_Gull", "001.Black_footed_Albatross")[y]
        names.append(f"{kind}/{kind[4:]}_{row:04d}_{row}.jpg")
        lines.append(f"{row + 1},{names[-1]},{y},{split},{place},/o/ocean/{row:08d}.jpg")
    write_lines(folder / "metadata.csv", lines)
    write_images(folder, names)
    return folder


def celeba_rows(n=24):
    """Names, values and parts; blond and male cycle, the other attributes are random."""
    values = np.random.default_rng(0).choice([-1, 1], size=(n, 40))
    rows = np.arange(n)
    values[:, CELEBA_ATTRIBUTES.index("Blond_Hair")] = 2 * (rows % 2) - 1
    values[:, CELEBA_ATTRIBUTES.index("Male")] = 2 * (rows // 2 % 2) - 1
    return [f"{row + 1:06d}.jpg" for row in rows], values, rows // 4 % 3


def celeba(folder, form="txt", images="img_align_celeba", labels="", split="", n=24):
    """Write the authors' text files, or the tables of Kaggle and WILDS (``form="csv"``)."""
    names, values, parts = celeba_rows(n)
    attributes = folder / labels / f"list_attr_celeba.{form}"
    partition = folder / split / f"list_eval_partition.{form}"
    if form == "txt":
        # the authors' files are aligned by spaces, and their header ends in one
        rows = [
            f"{name} {' '.join(f'{value:2d}' for value in row)}"
            for name, row in zip(names, values, strict=True)
        ]
        write_lines(attributes, [len(names), " ".join(CELEBA_ATTRIBUTES) + " ", *rows])
        write_lines(partition, [f"{n} {p}" for n, p in zip(names, parts, strict=True)])
    else:
        rows = [f"{n},{','.join(map(str, row))}" for n, row in zip(names, values, strict=True)]
        write_lines(attributes, [",".join(["image_id", *CELEBA_ATTRIBUTES]), *rows])
        rows = [f"{n},{p}" for n, p in zip(names, parts, strict=True)]
        write_lines(partition, ["image_id,partition", *rows])
    write_images(folder / images, names)
    return folder


def celeba_persons(folder, n=24, per_person=2):
    """Write who is in which image: consecutive ones show the same person."""
    rows = [f"{row + 1:06d}.jpg {7 + row // per_person}" for row in range(n)]
    write_lines(folder / "identity_CelebA.txt", rows)
    return folder


def utkface(folder, n=60, contents=None):
    """Ages, genders and races cycle with different periods."""
    names = [
        f"{1 + row * 7 % 100}_{row % 2}_{row % 5}_201701{row:011d}.jpg.chip.jpg" for row in range(n)
    ]
    write_images(folder, names, contents)
    return folder


def fairface(folder, n_train=63, n_val=21, labels=""):
    """Every age and every race with each other."""
    for part, n in (("train", n_train), ("val", n_val)):
        lines = ["file,age,gender,race,service_test"]
        for row in range(n):
            age, race = FAIRFACE_AGES[row % 9], FAIRFACE_RACES[row % 7]
            gender = ("Male", "Female")[row % 2]
            lines.append(f"{part}/{row + 1}.jpg,{age},{gender},{race},{row % 3 == 0}")
        write_lines(folder / labels / f"fairface_label_{part}.csv", lines)
        write_images(folder, [f"{part}/{row + 1}.jpg" for row in range(n)])
    return folder


def pack(folder, archive):
    """Put what is in a folder into an archive, by the suffix of its name."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for file in files:
                packed.write(file, file.relative_to(folder))
    else:
        with tarfile.open(archive, "w" if archive.suffix == ".tar" else "w:gz") as packed:
            for file in files:
                packed.add(file, file.relative_to(folder))
    return archive
