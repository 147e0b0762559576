// As large as the text around; no message in the corner while formulas are set.
MathJax.Hub.Config({ SVG: { scale: 92 }, messageStyle: "none", showMathMenu: false });
