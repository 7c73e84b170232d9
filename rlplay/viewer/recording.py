"""What the window shows as a file: gif, mp4, or the last frame as png.

These are exports for people; the truth of an episode is its seed and actions (`rlplay.environments.episode`).
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pygame

from rlplay.environments.episode import Episode
from rlplay.errors import MissingPackageError, NoRoomError, RlplayError, UsageError
from rlplay.storage.files import atomic_writer, require_writable, write_atomically

_KINDS = (".gif", ".mp4", ".png")
_GIF_WIDTH = 800  # pixels; a wider picture makes a file too large to share
_MOST_FRAMES = 3000  # of a gif, which is kept in memory
_FASTEST_FILM = 120.0
FASTEST = 50.0  # frames a second that players of gifs still keep
_A_FRAME = 1 << 16  # bytes: with less room than this a film cannot go on
_UNCHANGED = 255  # the transparent colour: what did not change since the frame before costs nothing


def save_picture(surface: pygame.Surface, path: Path) -> None:
    """Write a picture as png, whole or not at all.

    Raises:
        OSError: it cannot be written, or the disk is full (NoRoomError).
    """
    file = io.BytesIO()
    pygame.image.save(surface, file, "picture.png")
    write_atomically(path, file.getvalue())


class Recorder:
    """Collects frames and writes them, complete or not at all, also after Ctrl-C.

    Args:
        path: a name that ends in .gif, .mp4 or .png (the last frame).
        fps: frames a second, at most 50 in a gif and 120 in a film.

    Attributes:
        frames: how many were taken.
        full: whether a gif has as many frames as fit into one; later ones are left out.

    Raises:
        UsageError: another ending, or a place that cannot be written.
        MissingPackageError: mp4 without imageio-ffmpeg.
    """

    def __init__(self, path: Path, fps: float = 8.0) -> None:
        if path.suffix.lower() not in _KINDS:
            raise UsageError(f"{path} ends in none of {', '.join(_KINDS)}")
        fastest = FASTEST if path.suffix.lower() == ".gif" else _FASTEST_FILM
        self.path, self.fps, self.frames = path, min(fps, fastest), 0
        require_writable(path, "-o")
        # The ending stays, since ffmpeg chooses the format by it.
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        self._images: list[Any] = []
        self._last: Any = None
        self._palette: Any = None
        self._size: tuple[int, int] | None = None
        self._before: Any = None
        self._video: Any = None
        if path.suffix.lower() == ".mp4":
            try:
                import imageio_ffmpeg  # noqa: F401
            except ImportError as error:
                raise MissingPackageError(
                    "mp4 needs the package imageio-ffmpeg",
                    "pip install 'rlplay[video]', or imageio-ffmpeg alone; or record a .gif",
                ) from error

    def add(self, surface: pygame.Surface) -> None:
        """Take one frame.

        Raises:
            RlplayError: a film cannot be written any more; nothing is left of it.
        """
        if self.full:
            return
        self.frames += 1
        kind = self.path.suffix.lower()
        if kind == ".png":
            self._last = surface.copy()
        elif kind == ".gif":
            self._images.append(self._shrink(surface))
        else:
            self._send(surface)

    @property
    def full(self) -> bool:
        """Whether a gif has as many frames as fit into one."""
        return self.path.suffix.lower() == ".gif" and self.frames >= _MOST_FRAMES

    def finish(self) -> Path | None:
        """Write the file; None where no frame was taken.

        Raises:
            OSError: it cannot be written, or the disk is full (NoRoomError); what bore its name before is whole.
            RlplayError: a film that ffmpeg could not write.
        """
        if not self.frames:
            return None
        kind = self.path.suffix.lower()
        if kind == ".png":
            save_picture(self._last, self.path)
        elif kind == ".gif":
            first, *rest = self._images
            with atomic_writer(self.path) as file:
                first.save(
                    file, "GIF", save_all=True, append_images=rest, duration=round(1000 / self.fps), loop=0,
                    optimize=False, disposal=1, transparency=_UNCHANGED,
                )  # fmt: skip
        else:
            self._finish_film()
        return self.path

    def _finish_film(self) -> None:
        import imageio_ffmpeg

        try:
            self._video.close()
            if imageio_ffmpeg.count_frames_and_secs(str(self._temporary))[0] < self.frames:
                raise self._no_film()
            os.replace(self._temporary, self.path)
        except RuntimeError as error:  # ffmpeg cannot read what it wrote
            raise self._no_film() from error
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink()

    def _no_film(self) -> RlplayError:
        """Why ffmpeg did not write what it was sent; it says so nowhere but on its own screen."""
        if shutil.disk_usage(self.path.parent).free < _A_FRAME:
            full = NoRoomError.of(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), self.path)
            assert full is not None
            return full
        return RlplayError(f"{self.path} could not be written: ffmpeg failed", "Record a .gif")

    def _send(self, surface: pygame.Surface) -> None:
        import imageio_ffmpeg

        if self._size is None:
            self._size = surface.get_size()
        elif surface.get_size() != self._size:
            surface = pygame.transform.smoothscale(surface, self._size)
        width, height = (n - n % 2 for n in surface.get_size())
        if self._video is None:
            self._video = imageio_ffmpeg.write_frames(
                str(self._temporary), (width, height), fps=self.fps, macro_block_size=2, ffmpeg_log_level="quiet"
            )
            self._video.send(None)
        pixels = np.frombuffer(pygame.image.tobytes(surface, "RGB"), np.uint8)
        try:
            self._video.send(np.ascontiguousarray(pixels.reshape(surface.get_height(), -1, 3)[:height, :width]))
        except (OSError, StopIteration) as error:  # its process has ended
            with contextlib.suppress(OSError):
                self._temporary.unlink()
            self.frames = 0
            raise self._no_film() from error

    def _shrink(self, surface: pygame.Surface) -> Any:
        """A frame for a gif: narrower, in the colours of the first frame, so that only what changed is stored."""
        from PIL import Image

        if self._size is None:
            self._size = surface.get_size()
        elif surface.get_size() != self._size:  # the window was made larger or smaller
            surface = pygame.transform.smoothscale(surface, self._size)
        width, height = surface.get_size()
        image = Image.frombytes("RGB", (width, height), pygame.image.tobytes(surface, "RGB"))
        if width > _GIF_WIDTH:
            image = image.resize((_GIF_WIDTH, round(height * _GIF_WIDTH / width)), Image.Resampling.LANCZOS)
        if self._palette is None:
            self._palette = _palette(image)
        frame = image.quantize(palette=self._palette, dither=Image.Dither.NONE)
        colors = np.asarray(frame).copy()
        changed = colors if self._before is None else np.where(colors == self._before, _UNCHANGED, colors)
        self._before = colors
        shown = Image.fromarray(changed, "P")
        shown.putpalette(self._palette.getpalette())
        return shown


def _palette(image: Any) -> Any:
    """Under 255 colours: those of a frame, and the scale of the value map, which fills only later."""
    from PIL import Image

    from rlplay.viewer.drawing import ACCENT, BAD, DIM, GOOD, TEXT, WARM, scale_color

    common = image.quantize(176).getpalette()[: 176 * 3]
    scale = [channel for k in range(64) for channel in scale_color(k / 63)]
    scale += [channel for color in (WARM, GOOD, ACCENT, BAD, TEXT, DIM) for channel in color]
    palette = Image.new("P", (1, 1))
    palette.putpalette((common + scale + [0] * 768)[:768])
    return palette


def save_episodes(episodes: list[Episode], path: Path, session: Any) -> list[Path]:
    """Write the episodes a person played: the first to the path, the others numbered beside it."""
    written = []
    for number, episode in enumerate(episodes, 1):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        written.append(episode.save(target, session.env.action_space))
    return written


def free_name(stem: str, suffix: str) -> Path:
    """The first name of stem-1, stem-2, ... in the current folder that is not taken."""
    number = 1
    while (path := Path(f"{stem}-{number}{suffix}")).exists():
        number += 1
    return path
