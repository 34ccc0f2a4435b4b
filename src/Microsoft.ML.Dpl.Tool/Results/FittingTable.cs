using Microsoft.ML.Dpl.Tool.Display;
using Spectre.Console;

namespace Microsoft.ML.Dpl.Tool.Results;

/// <summary>A table that drops its least important columns if it would be too wide.</summary>
internal sealed class FittingTable
{
    private const int Gap = 3;

    private readonly List<(string Header, int Rank, bool IsNumber, string[] Cells)> _columns = [];

    /// <param name="header">The column's header.</param>
    /// <param name="rank">Importance from 0; columns of rank 0 are always kept, larger ranks are dropped first.</param>
    /// <param name="isNumber">Whether cells are right-aligned and never wrapped.</param>
    /// <param name="cells">One per row.</param>
    public FittingTable Add(string header, int rank, bool isNumber, IEnumerable<string> cells)
    {
        _columns.Add((header, rank, isNumber, [.. cells]));
        return this;
    }

    /// <param name="width">Available width in characters.</param>
    public Table Within(int width)
    {
        var kept = _columns.ToList();
        while (
            kept.Count > 1
            && kept.Max(column => column.Rank) > 0
            && kept.Sum(column => Gap + column.Cells.Append(column.Header).Max(cell => cell.Length)) > width
        )
            kept.Remove(kept.MaxBy(column => column.Rank));
        var table = new Table().Border(TableBorder.Simple);
        foreach (var column in kept)
        {
            var made = new TableColumn(Terminal.Cell(column.Header));
            table.AddColumn(column.IsNumber ? made.RightAligned().NoWrap() : made);
        }
        for (int row = 0; row < kept[0].Cells.Length; row++)
            table.AddRow([.. kept.Select(column => Terminal.Cell(column.Cells[row]))]);
        return table;
    }
}
