#ifndef LIMBECK_QUICKSTART_TEACHERS_HPP
#define LIMBECK_QUICKSTART_TEACHERS_HPP

// Three large networks, trained on the labels of all 16,000 rows and kept in a file for the next run.

#include "../common/metrics.hpp"
#include "../common/mlp.hpp"
#include "../common/parallel.hpp"
#include "fit.hpp"

#include <limbeck/eigen.hpp>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace quickstart {

constexpr int teacher_count = 3;
constexpr int teacher_width = 256;
constexpr double teacher_rate = 2e-3;

struct teachers {
  std::vector<mlp> nets;
  bool from_file = false;
};

/// Mean of the teachers' probabilities, as logarithms: a row of logits that any loss can take as the teacher's.
inline matrix ensemble(teachers& all, const matrix& features) {
  std::vector<matrix> logs;
  for (mlp& net : all.nets) logs.push_back(log_softmax(net.forward(features)));
  matrix top = logs.front();
  for (const matrix& one : logs) top = top.cwiseMax(one);
  matrix sum = matrix::Zero(top.rows(), top.cols());
  for (const matrix& one : logs) sum.array() += (one - top).array().exp();
  return top.array() + (sum.array() / static_cast<float>(logs.size())).log();  // log mean exp, without underflow
}

/// Reads the parameters, if the file's first line says that they belong to these networks and this data.
inline bool load(teachers& all, const std::filesystem::path& path, const std::string& header) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  if (!std::getline(file, line) || line != header) return false;
  std::vector<mlp> nets = all.nets;  // a file that ends too early must leave `all` as it is
  for (mlp& net : nets) {
    const auto p = net.flat_parameters();
    file.read(reinterpret_cast<char*>(p.data()), static_cast<std::streamsize>(p.size_bytes()));
  }
  if (!file || file.peek() != std::ifstream::traits_type::eof()) return false;
  all.nets = std::move(nets);
  return true;
}

inline void save(teachers& all, const std::filesystem::path& path, const std::string& header) {
  const std::filesystem::path partial = path.string() + ".partial";  // a run cut short leaves no half a file
  {
    std::ofstream file(partial, std::ios::binary);
    file << header << '\n';
    for (mlp& net : all.nets) {
      const auto p = net.flat_parameters();
      file.write(reinterpret_cast<const char*>(p.data()), static_cast<std::streamsize>(p.size_bytes()));
    }
    if (!file.flush()) throw std::runtime_error("cannot write " + partial.string());
  }
  std::filesystem::rename(partial, path);
}

inline teachers train_or_load_teachers(const dataset& data, int updates, int threads,
                                       const std::filesystem::path& path) {
  teachers all;
  for (int k = 0; k < teacher_count; ++k)
    all.nets.emplace_back(std::vector<int>{letter_features, teacher_width, teacher_width, letter_classes},
                          static_cast<std::uint64_t>(1000 + k));

  // The sum of the features stands for the data: other rows, other teachers.
  const std::string header = "limbeck quickstart teachers 1; " + std::to_string(teacher_count) + " of width " +
                             std::to_string(teacher_width) + ", " + std::to_string(updates) + " updates at " +
                             std::to_string(teacher_rate) + ", data " +
                             std::to_string(data.features.cwiseAbs().cast<double>().sum());
  if ((all.from_file = load(all, path, header))) return all;

  std::vector<int> everything(training_rows);
  std::iota(everything.begin(), everything.end(), 0);
  progress_line line("training three teachers", static_cast<long>(updates) * teacher_count);
  parallel_for(teacher_count, threads, [&](int k) {
    const auto objective = lk::objective(lk::cross_entropy{});
    lk::workspace workspace;
    fit(
        all.nets[static_cast<std::size_t>(k)], data, matrix(), everything,
        {updates, teacher_rate, static_cast<std::uint64_t>(k)},
        [&](const batch& b, const matrix& logits, lk::progress, matrix& gradient) {
          objective(logits, b.labels, lk::into(gradient), workspace);
        },
        [&](int, mlp&) { line.advance(); });
  });
  save(all, path, header);
  return all;
}

}  // namespace quickstart

#endif
