using System.CommandLine;

namespace Microsoft.ML.Dpl.Tool.Commands;

/// <summary><c>dpl completion</c>: a script for the shell that completes the command's words, by the [suggest] directive.</summary>
internal static class CompletionCommand
{
    private const string Bash = """
        _dpl_complete() {
          local IFS=$'\n'
          COMPREPLY=( $(dpl "[suggest:${COMP_POINT}]" "${COMP_LINE}" 2>/dev/null) )
          # Where the command has nothing to say, file names are wanted.
          if [ ${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=( $(compgen -f -- "${COMP_WORDS[COMP_CWORD]}") ); fi
        }
        complete -o filenames -F _dpl_complete dpl
        """;

    private const string Zsh = """
        _dpl_complete() {
          local -a found
          found=("${(@f)$(dpl "[suggest:$CURSOR]" "$BUFFER" 2>/dev/null)}")
          if [[ -z "$found" ]]; then _files; else compadd -- $found; fi
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
            "completion", "Prints a script that lets the shell complete the command's words.",
            "dpl completion bash >> ~/.bashrc", "dpl completion zsh >> ~/.zshrc", "dpl completion pwsh >> $PROFILE");
        command.Arguments.Add(shell);
        command.SetAction(arguments => arguments.InvocationConfiguration.Output.WriteLine(arguments.GetRequiredValue(shell) switch { "zsh" => Zsh, "pwsh" => Pwsh, _ => Bash }));
        return command;
    }
}
