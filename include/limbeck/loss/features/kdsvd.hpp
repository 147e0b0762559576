#ifndef LIMBECK_LOSS_FEATURES_KDSVD_HPP
#define LIMBECK_LOSS_FEATURES_KDSVD_HPP

/// @file
/// Self-supervised distillation by singular value decomposition: how the main directions of one layer lie to those of another.

#include <limbeck/loss/features/singular_vectors.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// The parts of a row that are the two layers: of layer l, channels[l] x positions[l] from column begin[l] on.
struct two_layers {
  std::size_t channels[2], positions[2], begin[2];

  two_layers(std::size_t columns, std::size_t first, std::size_t first_positions, std::size_t second, const char* argument)
      : channels{first, second}, positions{first_positions, 0}, begin{0, first * first_positions} {
    if (first == 0 || second == 0 || first_positions == 0 || columns <= begin[1] || (columns - begin[1]) % second != 0)
      raise<shape_error>(std::string("limbeck: ") + argument + " has " + std::to_string(columns) +
                         " columns, which are no two layers of " + std::to_string(first) + " x " + std::to_string(first_positions) +
                         " and " + std::to_string(second) + " channels x positions");
    positions[1] = (columns - begin[1]) / second;
  }
  std::size_t room() const {
    return singular_vectors::room(channels[0], positions[0]) + singular_vectors::room(channels[1], positions[1]);
  }
};

}  // namespace detail

/// The mean over samples of sum_ijm (g(w_im - v_jm) - g'_ijm)^2, g(x) = exp(-x^2/8): v and w are the main right singular vectors of two
/// layers, over their channels j and i, m = 1 to k; g' the same of the teacher.
///
/// A row holds both layers side by side, as for `fsp`, each channels x positions; positions are free. Channels of student and teacher are
/// equal. Of the student the one among k + 3 vectors (those with more than 1e-6 of the largest singular value) that is most along the teacher's m-th takes its place, with its sign; both are multiplied by
/// the teacher's singular value, divided by the norm of its first k. A vector has the sign that makes the teacher's sum positive, which
/// the paper's code leaves open. The way back is that of the exact decomposition, but for vectors whose singular values are
/// equal, which has none. Runs on the host only: it decomposes a matrix for each sample and layer, by rotations, in double.
/// O(samples x channels x positions x min(channels, positions)), times some sweeps.
/// @throws shape_error where a row is not two such layers or k is more than a layer's channels or positions; value_error where a feature
///   is not finite.
///
/// Lee, Kim and Song, Self-supervised Knowledge Distillation Using Singular Value Decomposition, 2018, arXiv:1807.06819; as
/// RepDistiller's `KDSVD` has it, after the authors' code.
struct kdsvd {
  using limbeck_loss = batchwise;
  static constexpr bool by_row = true, any_width = true;
  std::size_t first_channels = 1, second_channels = 1;    ///< of the two layers, in student and teacher
  std::size_t student_positions = 1, teacher_positions = 1;  ///< of the first layer; those of the second follow from the columns
  std::size_t k = 1;                                      ///< singular vectors of each layer, at least 1

  template <class T>
  double operator()(const batch<T>& x) const {
    const detail::two_layers s(x.student.classes, first_channels, student_positions, second_channels, "student");
    const detail::two_layers t(x.teacher.classes, first_channels, teacher_positions, second_channels, "teacher");
    for (const detail::two_layers* side : {&s, &t})
      for (std::size_t l = 0; l < 2; ++l)
        if (k == 0 || k > side->channels[l] || k > side->positions[l])
          raise<shape_error>("limbeck: kdsvd.k is " + std::to_string(k) + ", expected 1 to the least number of channels and positions");
    if (x.samples() == 0) return 0;
    detail::check_finite(x, x.student, "student");  // no rotation ends at what is no number
    detail::check_finite(x, x.teacher, "teacher");
    const std::size_t both = first_channels + second_channels, room = s.room() + t.room() + 3 * both + widest(s);
    double* const memory = x.memory.template take<double>(x.on.workers() * room).data();
    const detail::row_shares shares = detail::shares_of(x);
    return detail::finite(x, detail::sum_rows(x, [&](std::size_t r, std::size_t worker) {
      double* free = memory + worker * room;
      const auto take = [&](std::size_t n) { return std::exchange(free, free + n); };
      double *const mine = take(both), *const theirs = take(both), *const slope = take(both), *const work = take(widest(s));
      detail::singular_vectors layers[2][2]{{decomposed(x.student, r, s, 0, take), decomposed(x.student, r, s, 1, take)},
                                            {decomposed(x.teacher, r, t, 0, take), decomposed(x.teacher, r, t, 1, take)}};
      double value = 0;
      for (std::size_t m = 0; m < k; ++m) {
        std::size_t chosen[2];
        double factors[2];  // of the student's vectors: the teacher's length, and a sign
        for (std::size_t l = 0; l < 2; ++l) {
          const std::size_t c = s.channels[l], at = l * first_channels;
          const detail::singular_vectors &a = layers[0][l], &b = layers[1][l];
          double square = 0;
          for (std::size_t i = 0; i < k; ++i) square += b.value(i) * b.value(i);
          const double length = square > 0 ? b.value(m) / std::sqrt(square) : 0;
          chosen[l] = nearest(a, b.vector(m), c);
          factors[l] = detail::inner_product(a.vector(chosen[l]), b.vector(m), c) < 0 ? -length : length;
          for (std::size_t j = 0; j < c; ++j) {
            mine[at + j] = factors[l] * a.vector(chosen[l])[j];
            theirs[at + j] = length * b.vector(m)[j];
            slope[at + j] = 0;
          }
        }
        for (std::size_t i = first_channels; i < both; ++i) {
          for (std::size_t j = 0; j < first_channels; ++j) {
            const double d = mine[i] - mine[j], other = theirs[i] - theirs[j];
            const double g = std::exp(-d * d / 8), off = g - std::exp(-other * other / 8), by = -off * g * d / 2;
            value += off * off;
            slope[i] += by;
            slope[j] -= by;
          }
        }
        for (std::size_t l = 0; x.wants_gradient() && l < 2; ++l) {
          const std::size_t c = s.channels[l], n = s.positions[l];
          double* const w = slope + l * first_channels;
          for (std::size_t j = 0; j < c; ++j) w[j] *= shares(r) * static_cast<double>(x.scale) * factors[l];
          double *const y = work, *const along = work + c, *const along_y = along + n;
          layers[0][l].pull_back(chosen[l], w, y);
          const double* const v = layers[0][l].vector(chosen[l]);
          for (std::size_t p = 0; p < n; ++p) {
            along[p] = along_y[p] = 0;
            for (std::size_t j = 0; j < c; ++j) {
              const double f = static_cast<double>(x.student(r, s.begin[l] + j * n + p));
              along[p] += f * v[j], along_y[p] += f * y[j];
            }
          }
          for (std::size_t j = 0; j < c; ++j)
            for (std::size_t p = 0; p < n; ++p)
              x.gradient(r, s.begin[l] + j * n + p) += static_cast<T>(along[p] * y[j] + along_y[p] * v[j]);
        }
      }
      return shares(r) * value;
    }));
  }

 private:
  static std::size_t widest(const detail::two_layers& s) {
    return (std::max)(s.channels[0] + 2 * s.positions[0], s.channels[1] + 2 * s.positions[1]);
  }
  template <class T, class Take>
  static detail::singular_vectors decomposed(const rows<const T>& side, std::size_t r, const detail::two_layers& all, std::size_t l,
                                             const Take& take) {
    const std::size_t n = all.positions[l], begin = all.begin[l];
    detail::singular_vectors one(all.channels[l], n, take(detail::singular_vectors::room(all.channels[l], n)));
    one.decompose([&](std::size_t c, std::size_t p) { return static_cast<double>(side(r, begin + c * n + p)); });
    return one;
  }
  /// Which of the first k + 3 is most along @p b. One whose singular value is 0 but for rounding has no direction.
  std::size_t nearest(const detail::singular_vectors& a, const double* b, std::size_t c) const {
    std::size_t best = 0;
    double most = -1;
    for (std::size_t i = 0; i < (std::min)(k + 3, a.count()); ++i) {
      if (i > 0 && a.value(i) <= 1e-6 * a.value(0)) continue;
      const double cosine = std::fabs(detail::inner_product(a.vector(i), b, c));
      if (cosine > most) most = cosine, best = i;
    }
    return best;
  }
};

LIMBECK_END_NAMESPACE

#endif
