#ifndef LIMBECK_EXAMPLES_ACTIVE_DISTILLATION_LAB_HPP
#define LIMBECK_EXAMPLES_ACTIVE_DISTILLATION_LAB_HPP

// The task, its student, and its teacher: a network that has never seen the classes in question, but has learnt to look
// at others.

#include "../common/data.hpp"
#include "../common/draw.hpp"
#include "../common/mlp.hpp"
#include "../common/optimizers.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/trainer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <utility>
#include <vector>

namespace active_distillation {

using namespace examples;
namespace lk = limbeck;

/// The rows of some of the letters, numbered from 0.
inline dataset letters(const dataset& all, int first, int count) {
  row_numbers rows;
  for (std::size_t r = 0; r < all.size(); ++r)
    if (all.labels[r] >= first && all.labels[r] < first + count) rows.push_back(r);
  labelled_rows part = all.batch(rows);
  for (int& label : part.labels) label -= first;
  return {part.inputs, part.labels, {all.classes.begin() + first, all.classes.begin() + first + count}};
}

/// Few labels of A to M; a pool without labels; a network trained on N to Z, whose last hidden layer the teacher uses.
struct lab {
  dataset pool, test;
  matrix pool_features, test_features;  // rows of length 1

  lab(const std::filesystem::path& folder, std::size_t updates) {
    const split all = read_letter(folder);
    pool = letters(all.train, 0, 13);
    test = letters(all.test, 0, 13);
    dataset others = letters(all.train, 13, 13);
    mlp foreign({16, 256, 256, 13}, 7);
    lk::trainer{foreign, lk::no_teacher{}, lk::cross_entropy{}, adam(lk::cosine(0.002, 0.0))}.fit(
        others, {.steps = updates, .batch = 128, .seed = 1});
    pool_features = directions(foreign, pool.features);
    test_features = directions(foreign, test.features);
  }

 private:
  static matrix directions(mlp& net, const matrix& x) {
    net.forward(x);
    return net.hidden(1).rowwise().normalized();
  }
};

/// The same with a pool whose classes have fewer and fewer rows, down to `rarest` of what the first one keeps. The test
/// rows stay as they are, so every class counts as much as before.
inline lab with_rare_classes(const lab& all, double rarest) {
  const std::size_t classes = all.pool.classes.size();
  std::vector<double> total(classes), kept(classes);
  for (const int label : all.pool.labels) ++total[static_cast<std::size_t>(label)];
  row_numbers rows;
  for (std::size_t r = 0; r < all.pool.size(); ++r) {
    const auto c = static_cast<std::size_t>(all.pool.labels[r]);
    const double share = std::pow(rarest, static_cast<double>(c) / static_cast<double>(classes - 1));
    if (kept[c] < share * total[c]) rows.push_back(r), ++kept[c];
  }
  lab some = all;
  const labelled_rows pool = all.pool.batch(rows);
  some.pool.features = pool.inputs;
  some.pool.labels = pool.labels;
  some.pool_features.resize(std::ssize(rows), all.pool_features.cols());
  for (std::size_t i = 0; i < rows.size(); ++i)
    some.pool_features.row(static_cast<Eigen::Index>(i)) = all.pool_features.row(static_cast<Eigen::Index>(rows[i]));
  return some;
}

/// A classifier of few examples, without training: a kernel around each labelled row in the features of the foreign
/// network, as in Tip-Adapter (Zhang et al., 2022): z(c) = log(1e-4 + sum over the rows i of c of exp((cos - 1) /
/// 0.05)).
inline matrix few_shot_logits(const matrix& x, const matrix& features, std::span<const std::size_t> rows,
                              std::span<const int> labels, Eigen::Index classes) {
  matrix kernels = matrix::Constant(x.rows(), classes, 1e-4F);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto cosine = (x * features.row(static_cast<Eigen::Index>(rows[i])).transpose()).array();
    kernels.col(labels[i]).array() += ((cosine - 1) / 0.05F).exp();
  }
  return kernels.array().log();
}

/// A body (16-64-64) with a head for labels and a head for the teacher, two linear maps that lie side by side in the
/// last layer. With one head, both names are of the same numbers.
class student {
 public:
  student(int classes, int heads, std::uint64_t seed)
      : classes_(classes), all_(heads * classes), net_({16, 64, 64, all_}, seed) {}

  auto forward(const matrix& x) {
    const matrix& z = net_.forward(x);
    const auto rows = static_cast<std::size_t>(z.rows()), columns = static_cast<std::size_t>(classes_);
    const auto head = [&](int first) { return lk::rows<const float>(z.data() + first, rows, columns, all_); };
    return lk::outputs{lk::output<"logits">(head(0)), lk::output<"kd">(head(all_ - classes_))};
  }
  template <class Gradients>
  void backward(const Gradients& g) {
    matrix slope = matrix::Zero(features().rows(), all_);
    const auto of = [&](const auto& x) { return Eigen::Map<const matrix>(x.data, slope.rows(), classes_); };
    slope.leftCols(classes_) += of(g.template of<"logits">());
    slope.rightCols(classes_) += of(g.template of<"kd">());
    net_.backward(slope);
  }
  void zero_gradients() { net_.zero_gradients(); }
  std::vector<std::span<float>> parameters() { return net_.parameters(); }
  std::vector<std::span<float>> gradients() { return net_.gradients(); }

  /// Its prediction: the mean of what the heads say, as log probabilities.
  matrix predict(const matrix& x) {
    const auto said = forward(x);
    const auto mean = lk::mixed_heads(said.of<"logits">(), said.of<"kd">());
    matrix p(x.rows(), classes_);
    mean.read(0, mean.size(), p.data());
    return p.array().log();
  }
  const matrix& features() const { return net_.hidden(1); }

 private:
  int classes_, all_;
  mlp net_;
};

/// Rows of a pool, some of which have a label, which the head for labels alone sees.
struct partly_labelled {
  const dataset& pool;
  std::vector<int> known;  // a row; -100: none

  std::size_t size() const { return pool.size(); }
  auto batch(std::span<const std::size_t> rows) const {
    std::vector<int> labels;
    for (const std::size_t r : rows) labels.push_back(known[r]);
    auto at_head = lk::outputs{lk::output<"logits">(std::move(labels))};
    struct batch {
      matrix inputs;
      decltype(at_head) labels;
    };
    return batch{pool.batch(rows).inputs, std::move(at_head)};
  }
};

}  // namespace active_distillation

#endif
