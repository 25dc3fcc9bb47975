"""Pictures that visitors upload."""

from streamlit.runtime.uploaded_file_manager import UploadedFile

from samkit.media.pictures import Picture, read_picture
from samkit.ui.state.public import check_pixels, check_upload


def uploaded_picture(upload: UploadedFile) -> Picture:
    """Raises PictureError for what is not a picture, BadInput where this visitor has no room for it."""
    check_upload(upload.name, upload.size)
    picture = read_picture(upload, name=upload.name)
    check_pixels(picture.name, picture.width, picture.height)
    return picture
