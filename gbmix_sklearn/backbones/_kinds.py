"""What a file is that is no picture, for the message about it."""

from __future__ import annotations

__all__ = ["FORMATS", "say_what_it_is"]

#: what Pillow may take a file for, whatever its name: pictures; others are programs for other
#: programs (EPS starts Ghostscript), or parts of Pillow that hardly anybody looks after
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "MPO", "PNG", "PPM", "TIFF", "WEBP")

#: what files of other kinds have where
_OTHERS = (
    (128, b"DICM", "a DICOM file"),
    (0, b"\x93NUMPY", "an array of NumPy (.npy)"),
    (0, b"PK\x03\x04", "a zip archive, as .npz and .pt are"),
    (0, b"\x1f\x8b", "a gzip archive, as .nii.gz is"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (0, b"MATLAB 5.0", "a file of MATLAB (.mat)"),
    (0, b"NRRD", "an NRRD file"),
    (344, b"n+1\x00", "a NIfTI file"),
    (4, b"ftyphei", "a HEIC file"),
    (0, b"%PDF", "a PDF file"),
    (0, b"%!PS", "a PostScript file"),
)
_BEGIN = 40


def say_what_it_is(data: bytes) -> str:
    """Say what is wrong with a file that is no picture.

    Parameters
    ----------
    data : bytes
        The file.

    Returns
    -------
    str
        A sentence without a point.

    Examples
    --------
    >>> say_what_it_is(b"")
    'the file is empty'
    """
    if not data:
        return "the file is empty"
    for place, magic, kind in _OTHERS:
        if data[place : place + len(magic)] == magic:
            return (
                f"it is {kind}, which is not read: hand in its pixels as an array, of np.uint8 or, "
                "with value_range=(low, high), of other numbers"
            )
    begin = data[:_BEGIN].decode("ascii", "replace")
    if begin.isprintable() and "\ufffd" not in begin:
        return f"it is no picture but text, which begins with {begin!r}"
    return (
        f"it is damaged, or no picture of a kind that is read ({', '.join(FORMATS)}); it begins "
        f"with {data[:8]!r}"
    )
