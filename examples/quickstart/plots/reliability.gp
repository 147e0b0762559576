# Reliability: how often a prediction is right, against how sure the model is of it.
# Expects folder; plots.gp among the results sets it.
reset
load 'style.gp'
set output folder.'reliability.png'
data = folder.'reliability.tsv'
set title "Reliability on the test rows (15 bins of confidence, all seeds together)"
set xlabel "confidence (probability of the predicted class)"
set ylabel "accuracy (share of right predictions)"
set size square
set xrange [0:1]
set yrange [0:1]
set xtics 0.2
set ytics 0.2
set key top left reverse Left samplen 2.5 spacing 1.15 width -2
set label "too sure of itself" at 0.97, 0.05 right textcolor "#777777"
array order[4] = [4, 1, 2, 3]
plot x with lines dashtype 3 linecolor rgb "#888888" title "perfectly calibrated", \
     for [i=0:3] data index i using 1:2 with linespoints linewidth 2 pointtype 7 pointsize 1.3 linecolor rgb colour[order[i+1]] title columnheader(1)
unset output
