"""The Unity project as a running player: real ML-Agents and our scripts on the stand-in engine."""

import shutil
from pathlib import Path

from tests.unity.toolchain import PROJECT, UNITY_DEFINES, Compilation, Toolchain, core

STAND_IN = Path(__file__).parent / "stand_in"
STUBS = Path(__file__).parent / "stubs"
PROBES = Path(__file__).parent / "probe"
RUNTIME = PROJECT / "Assets" / "Companion" / "Runtime"
EDITOR = PROJECT / "Assets" / "Companion" / "Editor"
PLAYER_DEFINES = (*UNITY_DEFINES, "ENABLE_LEGACY_INPUT_MANAGER")
SERIALIZED = ("CS0649",)
"""Fields that only the Inspector writes."""
LEFT_OUT = ("CS0067", "CS0414", "CS0660", "CS0661", "CS1701", "CS1702")
"""Of the stand-in: events and fields that nothing here uses, and other versions of .NET's own assemblies."""
CORE_MODULE = "UnityEngine.CoreModule"
ENGINE_MODULES = (
    "UnityEngine.PhysicsModule",
    "UnityEngine.Physics2DModule",
    "UnityEngine.InputLegacyModule",
    "UnityEngine.ImageConversionModule",
    "UnityEngine.UnityAnalyticsCommonModule",
)
REAL = ("Unity.ML-Agents", "Unity.ML-Agents.CommunicatorObjects", "Google.Protobuf_Packed", "Unity.InferenceEngine")
"""What is run as Unity ships it."""


def runtime(chain: Toolchain) -> list[Compilation]:
    """Companion.Core and Companion.Runtime, as Unity makes them."""
    references = (*chain.unity_references, "Companion.Core")
    sources = tuple(sorted(RUNTIME.rglob("*.cs")))
    return [core(chain), Compilation("Companion.Runtime", sources, references, "library", PLAYER_DEFINES, SERIALIZED)]


def editor(chain: Toolchain) -> list[Compilation]:
    """The same and Companion.Editor, against signatures of UnityEditor written by hand."""
    stub = Compilation("UnityEditor", (STUBS / "UnityEditor.cs",), chain.unity_references)
    references = (*chain.unity_references, "Companion.Core", "Companion.Runtime", "UnityEditor")
    sources = tuple(sorted(EDITOR.rglob("*.cs")))
    defines = (*UNITY_DEFINES, "UNITY_EDITOR")
    return [*runtime(chain), stub, Compilation("Companion.Editor", sources, references, "library", defines, SERIALIZED)]


def stand_in(chain: Toolchain) -> list[Compilation]:
    """The engine in Unity's place, its assemblies named as Unity's, and the program that hosts them."""
    modules = [_stand_in(chain, CORE_MODULE)]
    modules += [_stand_in(chain, name, CORE_MODULE) for name in ENGINE_MODULES]
    host = _sources("Host")
    references = (*chain.dotnet_references, CORE_MODULE, ENGINE_MODULES[0])
    return [*modules, _stand_in(chain, "Grpc.Core"), Compilation("Host", host, references, "exe", (), LEFT_OUT)]


def probe(chain: Toolchain) -> list[Compilation]:
    """A program that asks parts of Companion.Runtime questions, on the stand-in engine."""
    references = (*chain.dotnet_references, CORE_MODULE, ENGINE_MODULES[0], "Companion.Core", "Companion.Runtime")
    sources = (PROBES / "Probe.cs",)
    return [*stand_in(chain), *runtime(chain), Compilation("Probe", sources, references, "exe", (), LEFT_OUT)]


def converter(chain: Toolchain) -> list[Compilation]:
    """A program that does what the Editor's import does to a policy."""
    sources = (PROBES / "Convert.cs", EDITOR / "UnityPolicy.cs")
    return [Compilation("Convert", sources, chain.dotnet_references, "exe", (), LEFT_OUT)]


def build_player(chain: Toolchain, folder: Path) -> Path:
    """An executable for `UnityEnvironment`; it logs to `player.log` beside it.

    Raises:
        RuntimeError: if something does not compile; says what.
    """
    built = chain.compile_all([*stand_in(chain), *runtime(chain)])
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in built.items():
        if one.path is None:
            raise RuntimeError(f"{name} does not compile: {'; '.join(one.diagnostics[:5])}")
        shutil.copy(one.path, folder)
    for name in REAL:
        shutil.copy(chain.managed / f"{name}.dll", folder)
    host = built["Host"].path
    assert host is not None
    shutil.copy(host.parent / "Host.runtimeconfig.json", folder)
    return _write_script(chain, folder)


def _stand_in(chain: Toolchain, name: str, *others: str) -> Compilation:
    return Compilation(name, _sources(name), (*chain.dotnet_references, *others), "library", (), LEFT_OUT)


def _sources(name: str) -> tuple[Path, ...]:
    return tuple(sorted((STAND_IN / name).glob("*.cs")))


def _write_script(chain: Toolchain, folder: Path) -> Path:
    """ML-Agents starts what ends in .x86_64."""
    script = folder / "player.x86_64"
    lines = (
        "#!/bin/sh",
        "export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 DOTNET_gcServer=0",
        f"export STAND_IN_STREAMING_ASSETS='{PROJECT / 'Assets' / 'StreamingAssets'}'",
        f"exec '{chain.dotnet}' '{folder / 'Host.dll'}' \"$@\" > '{folder / 'player.log'}' 2>&1",
    )
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    script.chmod(0o755)
    return script
