"""Check that OpenCV can be loaded, before MMSegmentation fails on it with a page of traceback."""

from data.stage.errors import UserError


def check() -> None:
    """Raise `UserError` naming the Debian package when a system library is missing."""
    try:
        import cv2  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"OpenCV cannot be loaded ({error}); on Debian and Ubuntu its system libraries are in "
            "the packages libgl1 and libglib2.0-0: apt-get install libgl1 libglib2.0-0"
        ) from None
