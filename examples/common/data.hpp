#ifndef LIMBECK_EXAMPLES_DATA_HPP
#define LIMBECK_EXAMPLES_DATA_HPP

// The data sets (examples/data/README.md says where they come from): tables, standardised and split as is customary, and digits.

#include "mlp.hpp"

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace examples {

/// Some rows as a network takes them: what `dataset::batch` returns.
struct labelled_rows {
  matrix inputs;
  std::vector<int> labels;
};

/// A table with a class a row. It is a data source for Limbeck's trainer.
struct dataset {
  matrix features;                   // rows x columns; mean 0 and variance 1 over the training rows
  std::vector<int> labels;           // 0, 1, ... in the order of `classes`
  std::vector<std::string> classes;  // sorted by name

  std::size_t size() const { return labels.size(); }
  labelled_rows batch(std::span<const std::size_t> rows) const;
};

struct split {
  dataset train, test;
};

enum class label_column { first, last };

/// Reads a gzipped table of numbers with one column of names of classes, under a line with the names of the columns.
/// The first `training_rows` train, the others test; features are standardised by the training rows.
split read_table(const std::filesystem::path& path, label_column where, std::ptrdiff_t training_rows);

/// Letter: 16,000 + 4,000 rows, 16 features, 26 classes.
inline split read_letter(const std::filesystem::path& folder) {
  return read_table(folder / "letter.csv.gz", label_column::first, 16'000);
}
/// Satellite: 4,435 + 2,000 rows, 36 features, 6 classes. Neighbouring rows show overlapping ground: draw labels at
/// random, not from the top.
inline split read_satellite(const std::filesystem::path& folder) {
  return read_table(folder / "satellite.csv.gz", label_column::last, 4'435);
}

/// Handwritten digits, 8 x 8 pixels a row from 0 (paper) to 1.
struct digit_images {
  static constexpr std::size_t side = 8;
  matrix grey;              // 1,797 x 64
  std::vector<int> digits;  // 0 to 9
};
digit_images read_digits(const std::filesystem::path& folder);

}  // namespace examples

#endif
