using System.CommandLine;

var root = new RootCommand("Differentiable Prompt Learning for CLIP: few-shot image classification without writing code.");
return await root.Parse(args).InvokeAsync();
