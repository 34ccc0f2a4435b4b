using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl completion</c>: prints a script for command completion in a shell, based on the [suggest] directive.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        _dpl_complete() {
          local word="$2" line="dpl${COMP_LINE#"$1"}" found
          COMPREPLY=()
          while IFS= read -r found; do
            # Options are wanted after a hyphen; what the command finds within words does not begin as the word does.
            if [[ "$found" == "$word"* && ( "$word" == -* || "$found" != [-/]* ) ]]; then COMPREPLY+=("$found"); fi
          done < <("$1" "[suggest:$((COMP_POINT + ${#line} - ${#COMP_LINE}))]" "$line" 2>/dev/null)
          # Where the command has nothing to say, file names are wanted.
          if [[ ${#COMPREPLY[@]} -eq 0 && "$word" != -* ]]; then
            while IFS= read -r found; do COMPREPLY+=("$found"); done < <(compgen -f -- "$word")
          fi
        }
        complete -o filenames -F _dpl_complete dpl
        """;

    private const string Zsh = """
        _dpl_complete() {
          local line="dpl ${(j: :)words[2,CURRENT]}"
          local -a found
          found=(${(f)"$(dpl "[suggest:${#line}]" "$line" 2>/dev/null)"})
          [[ "$PREFIX" == -* ]] || found=(${found:#[-/]*})
          if (( ${#found} )); then compadd -- $found; else _files; fi
        }
        compdef _dpl_complete dpl
        """;

    private const string Pwsh = """
        Register-ArgumentCompleter -Native -CommandName dpl -ScriptBlock {
          param($wordToComplete, $commandAst, $cursorPosition)
          dpl "[suggest:$cursorPosition]" "$commandAst" 2>$null | ForEach-Object { [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_) }
        }
        """;

    public static System.CommandLine.Command Create()
    {
        var shell = new Argument<string>("shell") { Description = "bash, zsh or pwsh." }.AcceptOnlyFromAmong("bash", "zsh", "pwsh");
        var command = new ExampledCommand(
            "completion",
            "Prints a script that lets the shell complete the command's words.",
            "dpl completion bash >> ~/.bashrc",
            "dpl completion zsh >> ~/.zshrc",
            "dpl completion pwsh >> $PROFILE"
        );
        command.Arguments.Add(shell);
        command.SetAction(arguments =>
            arguments.InvocationConfiguration.Output.WriteLine(
                arguments.GetRequiredValue(shell) switch
                {
                    "zsh" => Zsh,
                    "pwsh" => Pwsh,
                    _ => Bash,
                }
            )
        );
        return command;
    }
}
