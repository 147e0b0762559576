# Scores on the test rows while the students train: mean over the seeds, and one deviation to either side.
# Expects folder, teacher_accuracy and teacher_nll; plots.gp among the results sets them.
load 'style.gp'
set output folder.'learning_curves.png'
data = folder.'learning_curves.tsv'
set multiplot layout 2,1 margins 0.09,0.96,0.10,0.93 spacing 0.05

set title "Three ways to train the same small network: mean ± one deviation over the seeds"
set ylabel "test accuracy (%)" offset 0.5
set format x ""
set yrange [70:100]
set key bottom right samplen 3 spacing 1.1
plot for [i=0:2] data index i using 1:($2-$3):($2+$3) with filledcurves fillcolor rgb colour[i+1] fillstyle transparent solid 0.22 noborder notitle, \
     teacher_accuracy with lines dashtype 2 linecolor rgb colour[4] title "mean of the three teachers", \
     for [i=2:0:-1] data index i using 1:2 with lines linewidth 2 linecolor rgb colour[i+1] title columnheader(1)

unset title
unset key
set ylabel "test NLL (nats)"
set xlabel "updates (128 rows each)"
set format x "%.0f"
set logscale y
set yrange [0.06:4]
set ytics (0.1, 0.2, 0.5, 1, 2)
plot for [i=0:2] data index i using 1:($4-$5):($4+$5) with filledcurves fillcolor rgb colour[i+1] fillstyle transparent solid 0.22 noborder, \
     teacher_nll with lines dashtype 2 linecolor rgb colour[4], \
     for [i=0:2] data index i using 1:4 with lines linewidth 2 linecolor rgb colour[i+1]
unset multiplot
unset output
