#ifndef LIMBECK_EXAMPLES_TEACHER_CACHE_REPORT_HPP
#define LIMBECK_EXAMPLES_TEACHER_CACHE_REPORT_HPP

// What a student is measured by, the table, the file behind it, and the plot.

#include "../common/metrics.hpp"
#include "../common/plot.hpp"
#include "../common/table.hpp"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace teacher_cache {

using namespace examples;

/// What one student cost and came to, on the test rows.
struct outcome {
  double bytes = 0;       // of its cache, a row
  double divergence = 0;  // KL from the teacher to the student at the temperature of the run, in thousandths of a nat
  double accuracy = 0;    // in percent
  double negative_log_likelihood = 0, calibration_error = 0;  // of softmax at temperature 1; nats, percent
};

/// Mean KL from softmax(teacher/T) to softmax(student/T).
inline double divergence(const matrix& teacher, const matrix& student, float t) {
  const matrix log_p = log_softmax(teacher / t), log_q = log_softmax(student / t);
  const auto term = log_p.array().exp() * (log_p - log_q).array();
  return term.cast<double>().sum() / static_cast<double>(teacher.rows());
}

/// What one way to keep the rows came to: an outcome a seed.
struct series {
  std::string name, curve;  // curve: the line of the plot that it belongs to, none if empty
  std::vector<outcome> seeds;
  std::vector<double> each(double outcome::*member) const {
    std::vector<double> values;
    for (const outcome& o : seeds) values.push_back(o.*member);
    return values;
  }
};

inline void report(const std::filesystem::path& folder, const std::string& name, const std::string& title,
                   const std::vector<series>& all) {
  table results(title, {{"bytes a row", 1}, {"KL, mnat", 1}, {"accuracy"}, {"neg. log lik.", 3}, {"ECE, %"}});
  std::ofstream csv(folder / (name + ".csv"));
  csv << "kept,seed,bytes,divergence,accuracy,negative_log_likelihood,calibration_error\n";
  std::vector<curve> curves;
  for (const series& s : all) {
    results.add(s.name, {s.each(&outcome::bytes), s.each(&outcome::divergence), s.each(&outcome::accuracy),
                         s.each(&outcome::negative_log_likelihood), s.each(&outcome::calibration_error)});
    for (std::size_t i = 0; i < s.seeds.size(); ++i) {
      const outcome& o = s.seeds[i];
      csv << s.name << ',' << i << ',' << o.bytes << ',' << o.divergence << ',' << o.accuracy << ','
          << o.negative_log_likelihood << ',' << o.calibration_error << '\n';
    }
    if (s.curve.empty()) continue;
    auto at = std::find_if(curves.begin(), curves.end(), [&](const curve& c) { return c.name == s.curve; });
    if (at == curves.end()) at = curves.insert(at, {s.curve, {}, {}});
    at->x.push_back(over_seeds(s.each(&outcome::bytes)).mean);
    at->y.push_back(over_seeds(s.each(&outcome::divergence)));
  }
  results.print();
  draw(folder,
       {name, title, "bytes a row", "KL from the teacher on the test rows, thousandths of a nat",
        "set logscale xy\nset xrange [10:130]\nset xtics (12, 16, 24, 32, 48, 64, 96, 128)\nset key top right"},
       curves);
}

}  // namespace teacher_cache

#endif
