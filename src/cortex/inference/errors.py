"""What can go wrong with models.

::

    CortexError
    ├── Unavailable
    │   ├── EmbeddingUnavailable    no vector now: breaker open, too slow, closed
    │   │   └── EmbeddingFailed     this try gave no vector; another may
    │   │       └── EmbeddingRefused  it never will: key, model or shape is wrong
    │   └── GenerationUnavailable   no language model now: breaker open, closed
    │       └── GenerationFailed    this try gave no answer; another may
    │           ├── GenerationTimedOut  none in time; asking again doubles the work
    │           ├── GenerationRefused   it never will: key, model or request is wrong
    │           └── AnswerUnfit         an answer came twice that is not as asked
    ├── NotFound
    │   └── UnknownModel            no such name in the registry
    └── ModelUnusable               a model's files are missing, altered or broken
"""

from cortex.foundation.errors import CortexError, NotFound, Unavailable


class EmbeddingUnavailable(Unavailable):
    """No vector can be had now; text can be stored and embedded later."""

    code = "MODEL_UNAVAILABLE"


class EmbeddingFailed(EmbeddingUnavailable):
    """The backend was asked and did not answer with a vector."""

    code = "EMBEDDING_ERROR"


class EmbeddingRefused(EmbeddingFailed):
    """The backend will not give this vector however often it is asked."""

    retryable = False


class GenerationUnavailable(Unavailable):
    """No language model answers now."""

    code = "MODEL_UNAVAILABLE"


class GenerationFailed(GenerationUnavailable):
    """The language model was asked and did not answer whole."""

    code = "GENERATION_ERROR"


class GenerationTimedOut(GenerationFailed):
    """No answer came in time; the work may still be under way, and cost."""

    retryable = False


class GenerationRefused(GenerationFailed):
    """The language model will not answer this however often it is asked."""

    retryable = False


class AnswerUnfit(GenerationFailed):
    """The answer was not as asked, and neither was its repair."""

    code = "ANSWER_UNFIT"
    retryable = False


class UnknownModel(NotFound):
    """No model of this name is known; ``data['known']`` lists those that are."""

    code = "MODEL_NOT_FOUND"


class ModelUnusable(CortexError):
    """The files of a model are missing, are not the ones expected, or do not run."""

    code = "MODEL_UNAVAILABLE"
