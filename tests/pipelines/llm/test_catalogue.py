from pathlib import Path

import pytest

from pipelines.errors import ConfigError, InputError
from pipelines.events import Usage
from pipelines.llm.catalogue import Catalogue, Model
from pipelines.llm.catalogue_file import load_catalogue

SHIPPED = Path(__file__).parents[3] / "configs" / "providers.toml"
GROQ = '[providers.groq]\nbase_url = "https://groq.example/v1"\napi_key_env = "GROQ_API_KEY"\n'


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load_catalogue(SHIPPED)


def written(tmp_path: Path, text: str, name: str = "mine.toml") -> Path:
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


# ---------------------------------------------------------------- the shipped file


def test_the_shipped_catalogue_holds_the_promised_providers(shipped: Catalogue) -> None:
    hosted = {"cerebras", "groq", "sambanova", "together", "fireworks", "openai", "openrouter"}
    assert set(shipped.providers) == hosted | {"ollama", "vllm", "llamacpp"}
    assert {name for name, provider in shipped.providers.items() if provider.api_key_env} == hosted


def test_every_shipped_figure_has_a_source_and_a_date(shipped: Catalogue) -> None:
    models = [model for provider in shipped.providers.values() for model in provider.models]
    for model in (*models, *shipped.profiles.values()):
        figures = (
            model.context_window_tokens,
            model.usd_per_m_input,
            model.usd_per_m_output,
            model.published_tokens_per_s,
            model.published_ttft_ms,
        )
        if any(figure is not None for figure in figures):
            assert model.source, model.id
            assert model.date, model.id


def test_the_profiles_speak_at_the_published_speeds(shipped: Catalogue) -> None:
    rates = {name: pace.tokens_per_s for name, pace in shipped.paces().items()}
    assert rates["cerebras-llama3.1-8b"] == 1800
    assert rates["cerebras-llama3.1-70b"] == 450
    assert rates["gpu-cloud-8b"] == 1800 / 20
    assert rates["gpu-cloud-70b"] == 450 / 20


def test_retired_ids_are_marked_and_reasoning_models_are_told_to_think_little(shipped: Catalogue) -> None:
    models = {model.id: model for model in shipped.providers["cerebras"].models}
    assert models["llama3.1-8b"].retired
    assert not models["gpt-oss-120b"].retired
    assert models["gpt-oss-120b"].extra_body == {"reasoning_effort": "low"}


# ---------------------------------------------------------------- names


def test_a_model_is_found_by_provider_and_id(shipped: Catalogue) -> None:
    found = shipped.resolve("fireworks/accounts/fireworks/models/gpt-oss-120b")
    assert found.base_url == "https://api.fireworks.ai/inference/v1"
    assert found.model.usd_per_m_output == 0.60
    assert not found.simulated


def test_an_unlisted_id_of_a_known_provider_is_taken_with_unknown_prices(shipped: Catalogue) -> None:
    found = shipped.resolve("openai/gpt-99")
    assert found.model == Model(id="gpt-99")
    assert found.model.cost_usd(Usage(10, 10)) is None


def test_a_profile_resolves_to_its_figures_and_says_that_it_is_simulated(shipped: Catalogue) -> None:
    found = shipped.resolve("sim/cerebras-llama3.1-8b")
    assert found.simulated
    assert (found.model.published_tokens_per_s, found.model.usd_per_m_input) == (1800, 0.10)
    assert found.base_url is None
    assert found.at("http://127.0.0.1:1/v1").base_url == "http://127.0.0.1:1/v1"
    assert found.api_key() is None


def test_any_speed_can_be_simulated(shipped: Catalogue) -> None:
    model = shipped.resolve("sim/80.5:900").model
    assert (model.published_ttft_ms, model.published_tokens_per_s) == (80.5, 900)


def test_a_simulated_name_may_carry_a_fault_and_keeps_its_figures(shipped: Catalogue) -> None:
    model = shipped.resolve("sim/gpu-cloud-8b?fault=stall&seconds=3&rate=0.05").model
    assert model.id == "gpu-cloud-8b?fault=stall&seconds=3&rate=0.05"
    assert model.published_tokens_per_s == 90


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("grok/x", "provider 'grok' is not one of: 'groq', 'sim', 'cerebras'"),
        ("gpt-4o", "provider 'gpt-4o' is not one of"),
        ("groq/", "names no model: write groq/MODEL with one of: 'openai/gpt-oss-120b'"),
        ("vllm", "write vllm/MODEL with one of: any model that the server has loaded"),
        ("sim/cerebras-lama3.1-8b", "'cerebras-lama3.1-8b' is not one of: 'cerebras-llama3.1-8b'"),
        ("sim/fast", "nor TTFT_MS:TOK_PER_S such as 120:1800"),
        ("sim/120:0", "above 0"),
        ("sim/120:1800?fault=fire", "fault 'fire' is not one of: '400'"),
        ("sim/120:1800?rate=5", "rate is '5': give a number from 0 to 1"),
        ("sim/120:1800?oops=5", "'oops' is not one of: 'fault', 'rate'"),
    ],
)
def test_a_wrong_name_is_told_with_what_would_be_right(shipped: Catalogue, name: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        shipped.resolve(name)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_key_is_read_when_asked_for_and_shown_nowhere(shipped: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    found = shipped.resolve("groq/llama-3.1-8b-instant")
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    with pytest.raises(InputError, match="set the environment variable GROQ_API_KEY"):
        found.api_key()
    monkeypatch.setenv("GROQ_API_KEY", "gsk-secret")
    assert found.api_key() == "gsk-secret"
    assert "gsk-secret" not in repr(found)


def test_a_cost_needs_both_prices_and_both_counts() -> None:
    model = Model("m", usd_per_m_input=1.0, usd_per_m_output=3.0)
    assert model.cost_usd(Usage(1_000_000, 2_000_000)) == 7.0
    assert model.cost_usd(Usage(None, 5)) is None
    assert Model("m", usd_per_m_input=1.0).cost_usd(Usage(5, 5)) is None
    assert Model("m", usd_per_m_input=0.0, usd_per_m_output=0.0).cost_usd(Usage(5, 5)) == 0.0


# ---------------------------------------------------------------- files


def test_a_users_file_adds_and_replaces(tmp_path: Path) -> None:
    base = written(tmp_path, GROQ + '[[providers.groq.models]]\nid = "a"\nusd_per_m_input = 1\n', "base.toml")
    mine = written(
        tmp_path,
        '[[providers.groq.models]]\nid = "a"\nnote = "mine"\n[[providers.groq.models]]\nid = "b"\n'
        '[providers.home]\nbase_url = "http://nas:8000/v1"\n[sim.slow]\nttft_ms = 900\ntokens_per_s = 10\n',
    )
    catalogue = load_catalogue(base, mine)
    assert catalogue.resolve("groq/a").model == Model("a", note="mine")
    assert catalogue.resolve("groq/b").api_key_env == "GROQ_API_KEY"
    assert catalogue.resolve("home/x").api_key_env is None
    assert catalogue.paces()["slow"].ttft_ms == 900


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            GROQ + '[[providers.groq.models]]\nid = "a"\nprise = 1',
            "providers.groq.models[0].prise is not one of: 'id', ",
        ),
        (GROQ + "prise = 1", "providers.groq.prise is not one of: 'base_url', 'api_key_env', 'models'"),
        ("prise = 1", "prise is not one of: 'providers', 'sim'"),
        ("[sim.x]\nttft_ms = 1\ntokens_per_s = 1\nspeed = 1", "sim.x.speed is not one of: 'ttft_ms', 'tokens_per_s'"),
        ("[sim.x]\nttft_ms = 1", "sim.x.tokens_per_s is missing"),
        ("[sim.x]\nttft_ms = 1\ntokens_per_s = 0", "sim.x.tokens_per_s is 0: input should be greater than 0"),
        ('[providers.x]\nbase_url = "ftp://x"', "providers.x.base_url is 'ftp://x'"),
        ("[providers.x]", "providers.x.base_url is missing"),
        ("[providers]\nx = 1", "providers.x is 1"),
        ('[providers.sim]\nbase_url = "http://x"', "providers.sim is the pacer's own name"),
        ("[providers", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_told_by_the_keys_full_path(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_catalogue(written(tmp_path, text))
    assert said in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_key_written_into_the_file_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for text in (GROQ.replace("GROQ_API_KEY", "gsk-secret"), GROQ + 'api_key = "gsk-secret"\n'):
        with pytest.raises(ConfigError) as caught:
            load_catalogue(written(tmp_path, text))
        assert "gsk-secret" not in str(caught.value)
        assert "providers.groq.api_key" in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing\.toml cannot be read: No such file"):
        load_catalogue(tmp_path / "nothing.toml")


def test_a_directory_and_binary_are_no_catalogue(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="directory"):
        load_catalogue(tmp_path)
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        load_catalogue(binary)
