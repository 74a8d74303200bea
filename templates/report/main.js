// Puts the panels on the page.

bindTheme();
bindFilter();
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && state.chosen !== null) choose(state.chosen);
});
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
