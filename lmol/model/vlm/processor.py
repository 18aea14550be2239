"""Stock processors, without their part for videos, which would need torchvision."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from transformers import AutoImageProcessor, AutoProcessor, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

VIDEOS = "video_processor"


def load_processor(location: str, config: Any, **read: Any) -> Any:
    """Return the stock processor of a model; its images are read by Pillow on every machine.

    config: of the model. read: arguments of from_pretrained.
    """
    stock: Any = PROCESSOR_MAPPING.get(type(config), None)
    if stock is None:
        return AutoProcessor.from_pretrained(location, **read)
    if VIDEOS in stock.get_attributes():
        stock = without_videos(stock)
    processor = stock.from_pretrained(location, **read)
    processor.image_processor = AutoImageProcessor.from_pretrained(location, backend="pil", **read)
    return processor


def without_videos(stock: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """Return a processor class that takes no videos, and saves itself under the stock name."""

    class WithoutVideos(stock):  # type: ignore[misc, valid-type]
        video_processor = SimpleNamespace(num_frames=0, fps=0)  # SmolVLM asks for its settings

        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != VIDEOS]

        @classmethod
        def _get_arguments_from_pretrained(cls, *given: Any, **named: Any) -> list[Any]:
            return [*super()._get_arguments_from_pretrained(*given, **named), None]

    WithoutVideos.__name__ = WithoutVideos.__qualname__ = stock.__name__
    return WithoutVideos
