#ifndef LIMBECK_TESTS_UNIT_TRAINER_EVERY_LOSS_HPP
#define LIMBECK_TESTS_UNIT_TRAINER_EVERY_LOSS_HPP

// Every loss of the library, for what is true of all.

#include <limbeck/diffusion.hpp>
#include <limbeck/limbeck.hpp>

#include <cstddef>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace every {

namespace lk = limbeck;

constexpr std::size_t width = 8;

/// All that a call is given. `kept` is the teacher that sparse rows are taken from, `ids` are the samples of a bank.
struct call {
  std::vector<double> student, teacher, kept, weights, gradient;
  std::vector<int> labels;
  std::vector<unsigned char> mask;
  std::vector<std::size_t> ids;
  lk::detail::reduction_argument reduce = lk::mean;

  explicit call(std::size_t n, double scale = 1)
      : student(n * width), teacher(n * width), weights(n, 1), gradient(n * width), labels(n), mask(n, 1), ids(n) {
    std::mt19937 random(5);
    std::normal_distribution<double> normal(0, scale);
    for (double& x : student) x = normal(random);
    for (double& x : teacher) x = normal(random);
    kept = teacher;
    for (std::size_t r = 0; r < n; ++r) labels[r] = static_cast<int>(r % width), ids[r] = r;
  }
  std::size_t samples() const { return labels.size(); }
  lk::rows<const double> s() const { return {student.data(), samples(), width}; }
  lk::rows<const double> t() const { return {teacher.data(), samples(), width}; }

  /// The same without the rows that @p out says.
  call without(const std::vector<std::size_t>& out) const {
    call rest = *this;
    const auto drop = [&](auto& x, std::size_t each) {
      for (auto r = out.rbegin(); r != out.rend(); ++r) {
        const auto at = x.begin() + static_cast<std::ptrdiff_t>(*r * each);
        x.erase(at, at + static_cast<std::ptrdiff_t>(each));
      }
    };
    for (auto* x : {&rest.student, &rest.teacher, &rest.kept, &rest.gradient}) drop(*x, width);
    drop(rest.weights, 1), drop(rest.labels, 1), drop(rest.mask, 1), drop(rest.ids, 1);
    return rest;
  }
};

struct loss {
  std::string name;
  std::function<double(call&)> run;  // beside cross-entropy; fills the gradient
  std::function<double(call&)> alone;
  bool batchwise;  // relates rows
};

template <class Objective>
double run(const Objective& o, call& x) {
  return o(x.s(), x.t(), x.labels, lk::unread_is_fine, lk::row_mask(x.mask), lk::row_weights(x.weights), x.reduce,
           lk::into(lk::rows<double>(x.gradient.data(), x.samples(), width)))
      .loss;
}

/// In the order of the headers.
const std::vector<loss>& every_loss();

}  // namespace every

#endif
