// Puts the panels on the page.

bindTheme();
bindFilter();
drawWords();
drawBoard();
drawGroups();
drawHeat();
drawCurves();
drawParallel();
drawEffects();
drawHealth();
drawBudget();
drawGpu();
drawPredictions();
drawPaper();

// For those who want to know more: everything that is shown, and what shows it.
window.regatta = { report, state, figures, drawAll };
