#ifndef LIMBECK_QUICKSTART_LETTER_HPP
#define LIMBECK_QUICKSTART_LETTER_HPP

// The Letter data set: 20,000 printed capitals as 16 integer features each (examples/data/README.md).

#include "mlp.hpp"

#include <zlib.h>

#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace quickstart {

constexpr int letter_features = 16;
constexpr int letter_classes = 26;
constexpr int training_rows = 16'000;  // the customary split: the last 4,000 rows are the test rows
constexpr int test_rows = 4'000;

struct dataset {
  matrix features;          // rows x 16
  std::vector<int> labels;  // 0 is 'A'
};

struct letter {
  dataset train, test;
};

/// Reads the gzipped file: a line of names, then lines such as "T,2,8,3,5,1,8,13,0,6,6,10,8,0,8,0,8".
inline letter read_letter(const std::string& path) {
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error("cannot open " + path);

  matrix features(training_rows + test_rows, letter_features);
  std::vector<int> labels;
  char line[256];
  gzgets(file.get(), line, sizeof line);  // names of the columns
  while (gzgets(file.get(), line, sizeof line) != nullptr) {
    const auto row = std::ssize(labels);
    if (row == features.rows()) throw std::runtime_error(path + ": more rows than expected");
    char* field = line + 1;
    for (int column = 0; column < letter_features; ++column) {
      if (*field != ',') throw std::runtime_error(path + ": bad data row " + std::to_string(row + 1));
      features(row, column) = std::strtof(field + 1, &field);
    }
    labels.push_back(line[0] - 'A');
  }
  if (std::ssize(labels) != features.rows()) throw std::runtime_error(path + ": fewer rows than expected");

  // Zero mean and unit variance, both measured on the training rows.
  const Eigen::RowVectorXf mean = features.topRows(training_rows).colwise().mean();
  features.rowwise() -= mean;
  const Eigen::RowVectorXf variance = features.topRows(training_rows).array().square().colwise().mean();
  features.array().rowwise() *= variance.array().rsqrt();

  const auto split = labels.begin() + training_rows;
  return {{features.topRows(training_rows), {labels.begin(), split}},
          {features.bottomRows(test_rows), {split, labels.end()}}};
}

}  // namespace quickstart

#endif
