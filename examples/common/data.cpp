#include "data.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <stdexcept>

namespace examples {

labelled_rows dataset::batch(std::span<const std::size_t> rows) const {
  labelled_rows b{matrix(std::ssize(rows), features.cols()), {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    b.inputs.row(static_cast<Eigen::Index>(i)) = features.row(static_cast<Eigen::Index>(rows[i]));
    b.labels.push_back(labels[rows[i]]);
  }
  return b;
}

namespace {

/// The rows of a gzipped table: numbers, row by row, and a name each.
struct table_rows {
  std::vector<float> numbers;
  std::vector<std::string> names;
  std::ptrdiff_t columns = 0;  // of numbers
};

enum class first_line { titles, data };

table_rows read_rows(const std::filesystem::path& path, label_column where, first_line begin_with) {
  const auto bad = [&](const std::string& what) { return std::runtime_error(path.string() + ": " + what); };
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (!file) throw std::runtime_error("cannot open " + path.string());

  table_rows t;
  char line[512];
  if (gzgets(file.get(), line, sizeof line) == nullptr) throw bad("no first line");
  t.columns = std::count(line, line + std::string(line).size(), ',');
  bool here = begin_with == first_line::data;  // a row is in `line`
  while (here || gzgets(file.get(), line, sizeof line) != nullptr) {
    here = false;
    std::string fields(line);
    fields.erase(fields.find_last_not_of("\r\n") + 1);
    const std::size_t comma = where == label_column::first ? fields.find(',') : fields.rfind(',');
    const auto row = std::to_string(t.names.size() + 1);
    if (comma == std::string::npos) throw bad("bad data row " + row);
    t.names.push_back(where == label_column::first ? fields.substr(0, comma) : fields.substr(comma + 1));
    fields = where == label_column::first ? fields.substr(comma + 1) : fields.substr(0, comma);
    char* next = fields.data();
    for (std::ptrdiff_t c = 0; c < t.columns; ++c) {
      const char* const begin = next;
      t.numbers.push_back(std::strtof(begin, &next));
      if (next == begin || *next != (c + 1 < t.columns ? ',' : '\0')) throw bad("bad data row " + row);
      ++next;
    }
  }
  return t;
}

}  // namespace

split read_table(const std::filesystem::path& path, label_column where, std::ptrdiff_t training_rows) {
  const auto [numbers, names, columns] = read_rows(path, where, first_line::titles);
  const auto rows = std::ssize(names);
  if (rows <= training_rows) throw std::runtime_error(path.string() + ": fewer rows than expected");

  std::vector<std::string> classes(names);
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  std::vector<int> labels;
  for (const std::string& name : names)
    labels.push_back(static_cast<int>(std::lower_bound(classes.begin(), classes.end(), name) - classes.begin()));

  matrix features = Eigen::Map<const matrix>(numbers.data(), rows, columns);
  const Eigen::RowVectorXf mean = features.topRows(training_rows).colwise().mean();
  features.rowwise() -= mean;
  const Eigen::RowVectorXf variance = features.topRows(training_rows).array().square().colwise().mean();
  features.array().rowwise() *= variance.array().rsqrt();

  const auto cut = labels.begin() + training_rows;
  return {{features.topRows(training_rows), {labels.begin(), cut}, classes},
          {features.bottomRows(rows - training_rows), {cut, labels.end()}, classes}};
}

digit_images read_digits(const std::filesystem::path& folder) {
  const table_rows t = read_rows(folder / "digits.csv.gz", label_column::last, first_line::data);
  digit_images all{Eigen::Map<const matrix>(t.numbers.data(), std::ssize(t.names), t.columns) / 16.0F, {}};
  for (const std::string& name : t.names) all.digits.push_back(std::stoi(name));
  return all;
}

}  // namespace examples
