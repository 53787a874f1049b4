"""Compiles C# with Roslyn on .NET, in a process of its own: `python roslyn.py ROSLYN_FOLDER DOTNET_FOLDER < jobs.json`.

Starting Roslyn takes far longer than compiling with it, so one process does many jobs. Each is
`{"out", "sources", "references", "defines", "kind", "quiet"}`, and what comes out, in their order, is a list of
`{"ok", "diagnostics"}`.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1"  # else .NET wants libicu
LANGUAGE = "CSharp9"
"""What Unity 6 compiles."""


def main() -> None:
    roslyn, dotnet = map(Path, sys.argv[1:])
    _start(roslyn, dotnet)
    jobs = json.load(sys.stdin)
    json.dump([_compile(job) for job in jobs], sys.stdout)


def _start(roslyn: Path, dotnet: Path) -> None:
    # pythonnet and clr_loader are in the toolchain's own folder, not in the project's environment.
    from clr_loader import get_coreclr  # pyright: ignore[reportMissingImports]
    from pythonnet import load  # pyright: ignore[reportMissingImports]

    load(get_coreclr(runtime_config=str(dotnet / "runtimeconfig.json"), dotnet_root=str(dotnet / ".net")))
    import clr  # pyright: ignore[reportMissingImports]

    for name in ("Microsoft.CodeAnalysis", "Microsoft.CodeAnalysis.CSharp"):
        clr.AddReference(str(roslyn / name))


def _compile(job: dict[str, Any]) -> dict[str, Any]:
    from Microsoft.CodeAnalysis import (  # pyright: ignore[reportMissingImports]
        DiagnosticSeverity,
        MetadataReference,
        OptimizationLevel,
        OutputKind,
        ReportDiagnostic,
    )
    from Microsoft.CodeAnalysis.CSharp import (  # pyright: ignore[reportMissingImports]
        CSharpCompilation,
        CSharpCompilationOptions,
    )
    from System.Collections.Generic import KeyValuePair, List  # pyright: ignore[reportMissingImports]

    trees, references = List[_syntax_tree()](), List[MetadataReference]()
    for tree in _trees(job):
        trees.Add(tree)
    for path in job["references"]:
        references.Add(MetadataReference.CreateFromFile(path))
    is_program = job["kind"] == "exe"
    options = CSharpCompilationOptions(
        OutputKind.ConsoleApplication if is_program else OutputKind.DynamicallyLinkedLibrary
    )
    quiet = List[KeyValuePair[str, ReportDiagnostic]]()
    for code in job["quiet"]:
        quiet.Add(KeyValuePair[str, ReportDiagnostic](code, ReportDiagnostic.Suppress))
    options = options.WithGeneralDiagnosticOption(ReportDiagnostic.Error).WithSpecificDiagnosticOptions(quiet)
    out = Path(job["out"])
    options = options.WithDeterministic(True).WithOptimizationLevel(OptimizationLevel.Release)
    compilation = CSharpCompilation.Create(out.stem, trees, references, options)
    result = _emit(compilation, out)
    told = [
        str(one) for one in result.Diagnostics if one.Severity != DiagnosticSeverity.Hidden and not one.IsSuppressed
    ]
    return {"ok": bool(result.Success), "diagnostics": told}


def _trees(job: dict[str, Any]) -> list[Any]:
    from Microsoft.CodeAnalysis.CSharp import (  # pyright: ignore[reportMissingImports]
        CSharpParseOptions,
        CSharpSyntaxTree,
        LanguageVersion,
    )
    from System.Text import Encoding  # pyright: ignore[reportMissingImports]

    options = CSharpParseOptions(getattr(LanguageVersion, LANGUAGE)).WithPreprocessorSymbols(job["defines"])
    return [
        CSharpSyntaxTree.ParseText(Path(path).read_text(encoding="utf-8-sig"), options, path, Encoding.UTF8)
        for path in job["sources"]
    ]


def _syntax_tree() -> Any:
    from Microsoft.CodeAnalysis import SyntaxTree  # pyright: ignore[reportMissingImports]

    return SyntaxTree


def _emit(compilation: Any, out: Path) -> Any:
    """Write the assembly if it compiles."""
    from System.IO import File, MemoryStream  # pyright: ignore[reportMissingImports]

    stream = MemoryStream()
    result = compilation.Emit(stream)
    if result.Success:
        out.parent.mkdir(parents=True, exist_ok=True)
        File.WriteAllBytes(str(out), stream.ToArray())
    return result


if __name__ == "__main__":
    main()
