#ifndef LIMBECK_EXAMPLES_ACTIVE_DISTILLATION_REPORT_HPP
#define LIMBECK_EXAMPLES_ACTIVE_DISTILLATION_REPORT_HPP

// The tables, the file behind them, and the plot.

#include "../common/metrics.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

namespace active_distillation {

using namespace examples;

/// What one run came to: after each round, the accuracy of student and teacher on the test rows, in percent.
struct history {
  std::vector<double> student, teacher;
};
using outcome = std::vector<std::vector<history>>;  // [arm][seed]

/// Arms that the plots leave out: one would cover "random", the others crowd them.
constexpr std::string_view not_drawn[] = {"random, one head", "random, no teacher", "PCoreSet, head for labels",
                                          "PCoreSet, teacher", "k-means++, student's features"};

/// The first of the arms is the one that the others are compared with. 13 labels are added in each round.
inline void report(const std::filesystem::path& folder, const std::string& pool, const std::vector<std::string>& arms,
                   const outcome& all) {
  const std::size_t rounds = all[0][0].student.size();
  const auto labels = [](std::size_t round) { return 13 * (round + 1); };
  const auto each_seed = [&](std::size_t arm, auto pick) {
    std::vector<double> values;
    for (const history& h : all[arm]) values.push_back(pick(h));
    return values;
  };
  const auto gain = [&](std::size_t arm, auto pick) {
    std::vector<double> values = each_seed(arm, pick), base = each_seed(0, pick);
    for (std::size_t s = 0; s < values.size(); ++s) values[s] -= base[s];
    return values;
  };
  std::vector<column> columns;
  for (std::size_t r = 0; r < rounds; r += 2) columns.push_back({std::to_string(labels(r)), 1});
  table accuracies(pool + " pool: accuracy by labels", columns);
  table gains(pool + " pool: gain over random", {{"last round", 1}, {"mean of rounds", 1}, {"teacher, last", 1}});
  std::vector<curve> curves;
  std::ofstream csv(folder / (pool + ".csv"));
  csv << "selector,seed,labels,student,teacher\n";
  for (std::size_t a = 0; a < arms.size(); ++a) {
    curve line{arms[a], {}, {}};
    std::vector<std::vector<double>> cells;  // every second round; the file and the plot have them all
    for (std::size_t r = 0; r < rounds; ++r) {
      const auto values = each_seed(a, [&](const history& h) { return h.student[r]; });
      if (r % 2 == 0) cells.push_back(values);
      line.x.push_back(static_cast<double>(labels(r)));
      line.y.push_back(over_seeds(values));
      for (std::size_t s = 0; s < all[a].size(); ++s)
        csv << '"' << arms[a] << "\"," << s << ',' << labels(r) << ',' << all[a][s].student[r] << ','
            << all[a][s].teacher[r] << '\n';
    }
    accuracies.add(arms[a], cells);
    if (std::ranges::find(not_drawn, arms[a]) == std::end(not_drawn)) curves.push_back(line);
    if (a > 0)
      gains.add(arms[a], {gain(a, [](const history& h) { return h.student.back(); }),
                          gain(a, [](const history& h) { return over_seeds(h.student).mean; }),
                          gain(a, [](const history& h) { return h.teacher.back(); })});
  }
  accuracies.print();
  gains.print();
  draw(folder,
       {pool, "Letters A to M, " + pool + " pool", "labels", "test accuracy of the student, %",
        "set key bottom right\nset xtics 13"},
       curves);
}

}  // namespace active_distillation

#endif
