using Microsoft.ML.Dpl.Tool.Results;

namespace Microsoft.ML.Dpl.Tool.Report;

/// <summary>The finalists that were compared by short trainings before the training.</summary>
internal static class FinalistsSection
{
    public static Section Create(FitResults results)
    {
        const string id = "finalists",
            title = "Which lengths were trained";
        if (results.Finalists.Count == 0)
            return Section.Missing(id, title, "The searched or given lengths were not compared to others.");
        static Markup Name(FinalistResults finalist) =>
            finalist.IsMixture
                ? Markup.Format($"the searched mixture")
                : Markup.Format($"<code>{finalist.Configuration.ToString()}</code>");
        Markup rows = Markup.Join(
            results.Finalists.Select(finalist =>
                Markup.Format(
                    $"""
                    <tr class="{(finalist.WasTrained ? "own" : "")}"><th scope="row">{Name(finalist)}</th><td class="number">{Written.Number(
                        finalist.ValidationLoss
                    )}</td><td class="number">{Written.Percent(finalist.ValidationAccuracy)}</td><td class="number">{Written.Number(
                        finalist.TrainLoss
                    )}</td><td>{(finalist.WasTrained ? "trained" : "")}</td></tr>
                    """
                )
            )
        );
        return new Section(
            id,
            title,
            Markup.Format(
                $"""
                <p>A short training of each; the lowest validation loss decided. The same validation rows chose among {Written.Count(
                    results.Finalists.Count,
                    "configuration"
                )}, so the winner's figures flatter it a little.</p>
                <div class="wide"><table><thead><tr><th scope="col">prompt lengths</th><th scope="col" class="number">validation loss</th><th scope="col" class="number">validation accuracy</th><th scope="col" class="number">training loss</th><th scope="col">then</th></tr></thead><tbody>{rows}</tbody></table></div>
                """
            )
        );
    }
}
