"""`fold demo`: the page that is written, and what it does in a browser."""

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from browser import chromium, served
from conftest import Finished
from stub_export import RATE, saying, write_stub

import fold_device
from fold.demo.page import sample_sentences, write_page
from fold.demo.runtime import FILES, runtime_files
from fold.demo.server import server_of
from fold.errors import FoldError
from fold_device.cutting import Utterances
from fold_device.description import read_description

TEXTS = ["lights on", "turn it off", "wake me at nine"]
RATE_OF_HARDWARE = 48000
RECORD = """
const [seconds, done] = arguments;
(async () => {
  const { Microphone, resample } = await import("./sound.js");
  const microphone = new Microphone();
  await microphone.start();
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await microphone.stop();
  return Array.from(await resample(microphone.since(0), microphone.sampleRate, 16000));
})().then(done, (error) => done(String(error)));
"""
UTTERANCES = """
const [name, how, done] = arguments;
(async () => {
  const { decode, utterances } = await import("./sound.js");
  const samples = await decode(await (await fetch(name)).arrayBuffer(), 16000);
  return [...utterances(samples, 16000, how)].map(({ start, piece }) => [start, piece.length]);
})().then(done, (error) => done(String(error)));
"""
RECOGNISE = """
const [name, depth, precision, done] = arguments;
(async () => {
  const { Recogniser } = await import("./recogniser.js");
  const { decode } = await import("./sound.js");
  const recogniser = await Recogniser.open();
  await recogniser.use(precision);
  const samples = await decode(await (await fetch(name)).arrayBuffer(), recogniser.sampleRate);
  return await recogniser.transcribe(samples, depth);
})().then(done, (error) => done(String(error)));
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder; not to be changed."""
    return write_stub(tmp_path_factory.mktemp("stub") / "exported")


@pytest.fixture(scope="module")
def runtime() -> list[Path]:
    """ONNX Runtime for browsers, fetched at first use."""
    try:
        return runtime_files()
    except FoldError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def page(folder: Path, runtime: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The written page."""
    written = tmp_path_factory.mktemp("page")
    write_page(read_description(folder), written, runtime, TEXTS)
    return written


@pytest.fixture(scope="module")
def bursts() -> np.ndarray:
    """Bursts of noise up to 4 kHz, 2 s at 16 kHz."""
    random = np.random.default_rng(0)
    noise = np.repeat(random.normal(scale=0.1, size=RATE), 2)
    return np.convolve(noise, np.ones(4) / 4, "same") * np.repeat(random.integers(0, 2, 20), RATE // 10)


@pytest.fixture(scope="module")
def microphone(bursts: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the browser's microphone hears, again and again."""
    file = tmp_path_factory.mktemp("heard") / "heard.wav"
    soundfile.write(file, soxr.resample(bursts, RATE, RATE_OF_HARDWARE), RATE_OF_HARDWARE)
    return file


@pytest.fixture(scope="module")
def browser(page: Path, microphone: Path) -> Iterator:
    """A browser that shows the page, its model loaded."""
    fake = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
    with served(page) as address, chromium(*fake, f"--use-file-for-fake-audio-capture={microphone}") as shown:
        shown.set_script_timeout(60)
        shown.get(address)
        wait(lambda: shown.execute_script("return document.body.dataset.ready"), alert(shown))
        yield shown


def wait(condition: Callable[[], object], reason: Callable[[], str] = lambda: "", seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, reason()
        time.sleep(0.05)


def alert(browser) -> Callable[[], str]:
    return lambda: browser.find_element("id", "alert").text


def heard(browser) -> str:
    return browser.execute_script("return document.getElementById('words').dataset.text ?? ''")


def set_depth(browser, depth: int) -> None:
    browser.execute_script(
        "const slider = document.getElementById('depth'); slider.value = arguments[0];"
        "slider.dispatchEvent(new Event('input'))",
        depth,
    )


def write_wav(file: Path, samples: np.ndarray) -> Path:
    soundfile.write(file, samples, RATE, subtype="FLOAT")
    return file


def test_the_slider_chooses_the_depth(browser, tmp_path: Path) -> None:
    for depth in (2, 4, 3):
        set_depth(browser, depth)
        file = write_wav(tmp_path / f"{depth}.wav", saying("lights on", depth))
        browser.find_element("id", "file").send_keys(str(file))
        wait(lambda: heard(browser) == "lights on", alert(browser))
    set_depth(browser, 2)  # the same sound again, at another depth
    wait(lambda: heard(browser) not in ("", "lights on"), alert(browser))


def test_it_says_what_fold_device_says(browser, folder: Path, page: Path) -> None:
    samples = np.concatenate([saying(text, 3, pause=0.3) for text in TEXTS])
    file = write_wav(page / "a.wav", samples)
    for precision in ("fp32", "int8"):
        expected = fold_device.load(folder, precision).transcribe(file, depth=3)
        found = browser.execute_async_script(RECOGNISE, file.name, 3, precision)
        assert found["text"] == expected.text
        assert [word["text"] for word in found["words"]] == [word.text for word in expected.words]
        for ours, theirs in zip(found["words"], expected.words, strict=True):
            for name in ("start", "end", "confidence"):
                assert ours[name] == pytest.approx(getattr(theirs, name), abs=1e-3)


def test_long_recordings_are_cut_as_fold_device_cuts_them(browser, folder: Path, page: Path) -> None:
    samples = np.tile(saying("turn it off ", 2, pause=0.7), 25)
    assert len(samples) > 33 * RATE
    file = write_wav(page / "long.wav", samples)
    found = browser.execute_async_script(RECOGNISE, file.name, 2, "fp32")
    assert found["text"] == fold_device.load(folder, "fp32").transcribe(file, depth=2).text
    assert found["text"] == " ".join(["turn it off"] * 25)


def test_the_microphone_is_heard_as_it_is(browser, bursts: np.ndarray) -> None:
    heard = np.array(browser.execute_async_script(RECORD, 3.0))
    assert len(heard) > 2 * RATE
    piece = heard[RATE // 2 : RATE // 2 + RATE]
    endless = np.tile(bursts, 3)
    products = np.correlate(endless, piece, "valid")
    energies = np.convolve(endless**2, np.ones(len(piece)), "valid") * np.sum(piece**2)
    assert np.max(products / np.sqrt(energies + 1e-9)) > 0.9


@pytest.mark.parametrize("how", [{"pause": 0.3, "ahead": 5}, {"pause": 0.6, "ahead": 0}])
def test_utterances_are_those_of_fold_device(browser, page: Path, how: dict[str, float]) -> None:
    quiet = np.random.default_rng(0).normal(scale=1e-3, size=40 * RATE + 100)
    samples = quiet.copy()
    samples[5 * RATE : 6 * RATE] = 0
    for begin, end in ((0.5, 1.2), (1.4, 2.0), (2.4, 2.8), (3.1, 3.9), (5.0, 5.01), (6.5, 7.0), (8.0, 40.0)):
        samples[round(begin * RATE) : round(end * RATE)] *= 100
    samples[8 * RATE :: RATE // 2] *= 0.2
    write_wav(page / "utterances.wav", samples)
    expected = [(p.start, len(p.samples)) for p in Utterances(RATE, **how)([samples.astype(np.float32)])]
    assert len(expected) >= 3
    assert browser.execute_async_script(UTTERANCES, "utterances.wav", how) == [list(piece) for piece in expected]


def test_recording_shows_what_it_hears_until_it_is_stopped(browser) -> None:
    set_depth(browser, 2)
    record, seconds = browser.find_element("id", "record"), browser.find_element("id", "seconds")
    shown = seconds.text
    record.click()
    wait(lambda: record.get_attribute("aria-pressed") == "true", alert(browser))
    wait(lambda: seconds.text != shown, alert(browser))
    first = seconds.text
    wait(lambda: seconds.text != first, alert(browser))
    record.click()
    wait(lambda: record.text == "Record" and "at depth 2" in browser.find_element("id", "state").text, alert(browser))
    assert browser.execute_script("return document.getElementById('spoken').textContent").startswith("Heard")
    assert browser.find_element("id", "player").is_displayed()


def test_all_depths_are_compared(browser, tmp_path: Path) -> None:
    browser.find_element("id", "file").send_keys(str(write_wav(tmp_path / "b.wav", saying("lights on", 4))))
    wait(lambda: browser.find_element("id", "compare").is_enabled(), alert(browser))
    browser.find_element("id", "compare").click()
    table = browser.find_element("id", "table")
    wait(table.is_displayed, alert(browser))
    rows = [line.split(" ", 1) for line in table.text.splitlines()[1:]]
    assert [depth for depth, _ in rows] == ["2", "3", "4"]
    assert rows[2][1].startswith("lights on 0.")


def test_what_is_no_audio_is_said(browser, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    browser.find_element("id", "file").send_keys(str(tmp_path / "bad.wav"))
    wait(lambda: "no audio that this browser can read" in alert(browser)(), alert(browser))


def test_everything_has_a_name_and_can_be_reached_by_key(browser) -> None:
    """By Chromium's own accessibility tree, and by pressing Tab."""
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = ("button", "slider", "combobox", "img", "image", "table", "region", "heading")
    unnamed = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in roles and not node.get("name", {}).get("value")
    ]
    assert unnamed == []
    actions = pytest.importorskip("selenium.webdriver").ActionChains(browser)
    browser.execute_script("document.activeElement.blur()")
    reached = []
    for _ in range(30):
        actions.send_keys("\t").perform()
        reached.append(browser.switch_to.active_element.get_attribute("id"))
    assert {"depth", "precision", "record", "file", "another"} <= set(reached)
    browser.find_element("id", "depth").send_keys("\ue011")  # Home
    assert browser.find_element("id", "depth-value").text == "2 of 4"


def test_nothing_is_fetched_from_elsewhere_and_nothing_goes_wrong(browser) -> None:
    asked = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [entry["params"]["request"]["url"] for entry in asked if entry["method"] == "Network.requestWillBeSent"]
    assert urls
    assert all(url.startswith(("http://127.0.0.1:", "blob:http://127.0.0.1:", "data:", "about:")) for url in urls)
    severe = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_the_page_fits_a_window(browser, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_server_is_of_this_machine_alone(folder: Path) -> None:
    with served(folder) as address:
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}model.json") as answer:
            assert json.load(answer)["format"] == "fold-onnx"
    with server_of(folder, 0) as server, pytest.raises(FoldError, match="--port=0 takes a free one"):
        server_of(folder, server.server_port)
    with pytest.raises(FoldError, match="port 99999"):
        server_of(folder, 99999)


def test_sample_sentences_can_be_written_by_the_model(folder: Path) -> None:
    known = set("".join(read_description(folder).units))
    found = sample_sentences(read_description(folder))
    assert len(found) > 50
    assert all(set(sentence) <= known for sentence in found)


def test_the_command_writes_a_page(
    folder: Path, runtime: list[Path], fold_command: Callable[..., Finished], tmp_path: Path
) -> None:
    (tmp_path / "said.txt").write_text("on\n\noff\n")
    fold_command("demo", folder, "--output=there", "--serve=false", "--sentences=said.txt")
    there = tmp_path / "there"
    assert json.loads((there / "sentences.json").read_text()) == ["on", "off"]
    names = {str(file.relative_to(there)) for file in there.rglob("*") if file.is_file()}
    assert {"index.html", "app.js", "model/model.json", "model/model.onnx.data"} <= names
    assert {f"runtime/{name}" for name in FILES} <= names


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["nowhere"], "nowhere: no such folder"),
        ([], "model"),
        (["MODEL", "--sentences=none.txt"], "none.txt"),
        (["MODEL", "--port=x"], "port"),
    ],
)
def test_a_wrong_argument_is_one_line(
    folder: Path, arguments: list[str], named: str, fold_command: Callable[..., Finished]
) -> None:
    done = fold_command("demo", *(str(folder) if a == "MODEL" else a for a in arguments), check=False)
    assert done.status == 2
    assert done.stderr.count("\n") == 1
    assert named in done.stderr


def test_a_damaged_runtime_is_noticed(runtime: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / runtime[0].parent.name
    fetched = []
    monkeypatch.setattr("fold.demo.runtime._fetch", fetched.append)
    kept.mkdir()
    for file in runtime:
        (kept / file.name).write_bytes(file.read_bytes())
    assert [file.parent for file in runtime_files(tmp_path)] == [kept, kept]
    assert not fetched
    (kept / runtime[0].name).write_bytes(b"something else")
    with pytest.raises(FoldError, match="not the file of onnxruntime-web"):
        runtime_files(tmp_path)
    assert fetched == [kept]


def test_bench_device_is_a_command_of_fold_too(
    folder: Path, fold_command: Callable[..., Finished], tmp_path: Path
) -> None:
    write_wav(tmp_path / "a.wav", saying("on"))
    settings = ("--effort.rounds=1", "--effort.timed=1", "--depths=[2,4]", "--precisions=[int8]", "--output=found")
    done = fold_command("bench-device", folder, "a.wav", *settings, "--budget.memory=900MB")
    assert done.stdout.splitlines()[-1].startswith("memory up to 900MB: depth 4 in int8")
    again = fold_command("bench-device", "--record=found/bench.json", "--budget.memory=900MB")
    assert again.stdout.splitlines()[-1] == done.stdout.splitlines()[-1]
    refused = fold_command("bench-device", "--record=found/bench.json", "--budget.memory=much", check=False)
    assert refused.status == 2 and "much" in refused.stderr and refused.stderr.count("\n") == 1
    done = fold_command("bench-device", check=False)
    assert done.status == 2
    assert done.stderr.startswith("fold bench-device: expected a model to measure")
