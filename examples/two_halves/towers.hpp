#ifndef LIMBECK_TWO_HALVES_TOWERS_HPP
#define LIMBECK_TWO_HALVES_TOWERS_HPP

// Two encoders, one for the left half of a digit and one for the right, into one space; and who finds whom there.

#include "../common/data.hpp"
#include "../common/mlp.hpp"

#include <limbeck/eigen.hpp>
#include <limbeck/map/through.hpp>
#include <limbeck/map/unit_rows.hpp>
#include <limbeck/relations.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace two_halves {

using namespace examples;
namespace lk = limbeck;

constexpr int half = 32, hidden = 64, space = 32, classes = 10;  // a half is 8 x 4 pixels
constexpr std::size_t training_digits = 1'200;                   // the other 597 are for testing

/// A row is the left half and then the right one, standardised by the training digits: pixels that are always paper stay 0.
inline split read_halves(const digit_images& all) {
  matrix x(all.grey.rows(), 2 * half);
  for (int p = 0; p < 2 * half; ++p) {
    const int y = p / 8, column = p % 8;
    x.col((column / 4) * half + y * 4 + column % 4) = all.grey.col(p);
  }
  const auto n = static_cast<Eigen::Index>(training_digits);
  x.rowwise() -= x.topRows(n).colwise().mean().eval();
  const Eigen::RowVectorXf deviation = (x.topRows(n).colwise().squaredNorm() / static_cast<float>(n)).cwiseSqrt();
  x.array().rowwise() /= (deviation.array() > 0.01F).select(deviation.array(), 1.0F);
  const auto middle = all.digits.begin() + static_cast<std::ptrdiff_t>(n);
  return {{x.topRows(n), {all.digits.begin(), middle}, {}}, {x.bottomRows(x.rows() - n), {middle, all.digits.end()}, {}}};
}

/// A perceptron that reads one half of a row.
class tower {
 public:
  enum class side { left, right };
  tower(side which, std::vector<int> widths, std::uint64_t seed)
      : net_(std::move(widths), seed), first_(which == side::left ? 0 : half) {}

  const matrix& forward(const matrix& x) { return net_.forward(x.middleCols(first_, half)); }
  void backward(const matrix& slope) { net_.backward(slope); }
  void zero_gradients() { net_.zero_gradients(); }
  std::vector<std::span<float>> parameters() { return net_.parameters(); }
  std::vector<std::span<float>> gradients() { return net_.gradients(); }
  /// What the last layer reads, behind a ReLU.
  const matrix& features(const matrix& x) {
    forward(x);
    return net_.hidden().back();
  }

 private:
  mlp net_;
  Eigen::Index first_;
};

inline tower left_tower(std::uint64_t seed) { return {tower::side::left, {half, hidden, space}, 2 * seed}; }
inline tower right_tower(std::uint64_t seed) { return {tower::side::right, {half, hidden, space}, 2 * seed + 1}; }
/// A tower with classes on top, below which the space is.
inline tower classifier(std::uint64_t seed) { return {tower::side::right, {half, hidden, space, classes}, 2 * seed + 1}; }

/// Both as one student of two outputs.
struct towers {
  tower left, right;
  explicit towers(std::uint64_t seed) : left(left_tower(seed)), right(right_tower(seed)) {}

  auto forward(const matrix& x) {
    return lk::outputs{lk::output<"left">(left.forward(x)), lk::output<"right">(right.forward(x))};
  }
  template <class Gradients>
  void backward(const Gradients& g) {
    left.backward(g.template of<"left">());
    right.backward(g.template of<"right">());
  }
  void zero_gradients() {
    left.zero_gradients();
    right.zero_gradients();
  }
  auto parameters() { return joined(left.parameters(), right.parameters()); }
  auto gradients() { return joined(left.gradients(), right.gradients()); }

 private:
  static std::vector<std::span<float>> joined(std::vector<std::span<float>> a, const std::vector<std::span<float>>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  }
};

/// A batchwise loss that is chosen at run time: one type, so one trainer, for all of them.
template <class... Loss>
struct one_of {
  using limbeck_loss = lk::batchwise;
  static constexpr bool any_width = true, into_teacher = true, needs_labels = true;  // what all allow, what one needs
  std::variant<Loss...> loss;
  template <class T>
  double operator()(const lk::batch<T>& x) const {
    return std::visit([&](const auto& chosen) -> double { return chosen(x); }, loss);
  }
};
inline const auto unit_l1 = lk::through(lk::unit_rows{}, lk::l1{});
using contrast =
    one_of<lk::info_nce, lk::symmetric_info_nce, lk::nt_xent, lk::over_pairs<lk::symmetric_info_nce, lk::other_classes>,
           lk::over_pairs<lk::symmetric_info_nce, lk::same_class>, lk::supervised_contrast, lk::cross_correlation,
           lk::cosine_embedding, lk::margin_cosine, std::remove_cv_t<decltype(unit_l1)>>;

/// For each left half the number of the right half nearest to it, by the cosine.
struct retrieval {
  std::vector<std::size_t> nearest;
  double strangers = 0;  // mean cosine of halves that do not belong together

  retrieval() = default;
  retrieval(const matrix& left, const matrix& right) : nearest(static_cast<std::size_t>(left.rows())) {
    const matrix cosines = left.rowwise().normalized() * right.rowwise().normalized().transpose();
    const auto n = static_cast<double>(left.rows());
    strangers = (cosines.cast<double>().sum() - cosines.cast<double>().trace()) / (n * (n - 1));
    for (std::size_t i = 0; i < nearest.size(); ++i) {
      Eigen::Index at = 0;
      cosines.row(static_cast<Eigen::Index>(i)).maxCoeff(&at);
      nearest[i] = static_cast<std::size_t>(at);
    }
  }
};

/// In percent of the left halves: the nearest right half is its own; it is one of the same digit.
struct recall {
  double own = 0, same_class = 0, strangers = 0;

  recall() = default;
  recall(const retrieval& found, const std::vector<int>& labels) : strangers(found.strangers) {
    const double share = 100 / static_cast<double>(labels.size());
    for (std::size_t i = 0; i < labels.size(); ++i) {
      own += found.nearest[i] == i ? share : 0;
      same_class += labels[found.nearest[i]] == labels[i] ? share : 0;
    }
  }
};

}  // namespace two_halves

#endif
