#ifndef LIMBECK_SELECTION_BADGE_HPP
#define LIMBECK_SELECTION_BADGE_HPP

/// @file
/// BADGE: rows whose gradients would be large and unlike each other.

#include <limbeck/core/lifetime.hpp>
#include <limbeck/selection/k_means_plus_plus.hpp>
#include <limbeck/selection/subpool.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// |d|^2 and <d, b> for d = a - b, in double.
struct step_of {
  double square = 0, along = 0;
  template <class T>
  step_of(const T* a, const T* b, std::size_t width) {
    double squares[8] = {}, products[8] = {};
    const auto add = [&](std::size_t k, std::size_t l) {
      const double to = static_cast<double>(b[k]), d = static_cast<double>(a[k]) - to;
      squares[l] += d * d;
      products[l] += d * to;
    };
    std::size_t c = 0;
    for (; c + 8 <= width; c += 8)
      for (std::size_t l = 0; l < 8; ++l) add(c + l, l);
    for (; c < width; ++c) add(c, 0);
    for (std::size_t l = 0; l < 8; ++l) square += squares[l], along += products[l];
  }
};

}  // namespace detail

/// k-means++ over the gradients of the last layer: g_i = (p_i - onehot(argmax p_i)) (x) h_i, the gradient of the
/// cross-entropy by the weights of the layer that makes the logits of the embeddings h, as if the model's own
/// prediction were the label. The first row is the one with the largest |g|; the next with P(i) = min_{s in S} |g_i -
/// g_s|^2 / sum of the same, by draws from `query::seed`. A row that the model is sure of has a small gradient and is
/// near every other such row. Labelled rows are not chosen and have no other part, as in the authors' code.
///
/// The pool is one of logits; the pool of embeddings, row by row beside it, is held by the selector: `badge(h)(logits,
/// q)`.
///
/// No gradient is written down: with r = p - onehot, u = r_i - r_s and v = h_i - h_s,
/// |g_i - g_s|^2 = |u|^2 |h_i|^2 + 2 <u, r_s> <v, h_i> + |r_s|^2 |v|^2, which is 0 for equal rows. A row whose |g|
/// differs from |g_s| by more than its distance so far is passed over.
///
/// Ash, Zhang, Krishnamurthy, Langford and Agarwal, Deep Batch Active Learning by Diverse, Uncertain Gradient Lower
/// Bounds, 2020, arXiv:1906.03671.
///
/// Reads the logits once, and keeps rows x classes numbers of them; reads the embeddings budget times, in order and in
/// blocks. Besides holds 33 bytes a row. O(budget x pool x (classes + width)) at worst.
/// @tparam Embeddings the pool of h, whose memory outlives the selector
template <pool Embeddings>
class badge {
 public:
  /// Of the embeddings @p h, one row for each row of the pools that it will be asked about.
  template <class E>
    requires std::same_as<std::remove_cvref_t<E>, Embeddings>
  explicit badge(E&& h) : embeddings_(as_reader(h)) { detail::require_kept<E>(); }

  /// The rows chosen, budget many. @p logits is the whole pool, or a part of it that another selector made.
  /// @throws shape_error, value_error: see query; embeddings of another number of rows; a logit that is NaN or +inf, a
  /// row of nothing but -inf; an embedding that is not finite.
  template <class Pool>
  std::vector<std::size_t> operator()(const Pool& logits, const query& q) const {
    const auto& reader = as_reader(logits);
    using T = typename std::remove_cvref_t<decltype(reader)>::scalar;
    const auto n = static_cast<std::size_t>(reader.size()), classes = static_cast<std::size_t>(reader.columns());
    std::vector<unsigned char> taken = check_query(q, n);
    std::vector<T> residuals(n * classes);  // r
    std::vector<double> p(classes);
    for_each_row(reader, [&](std::size_t i, auto x) {
      const std::size_t likeliest = detail::softmax_into(x, p, i);
      p[likeliest] = 0;  // then p - 1 is less the sum of the others, without cancelling
      double others = 0;
      for (const double value : p) others += value;
      p[likeliest] = -others;
      std::transform(p.begin(), p.end(), residuals.begin() + static_cast<std::ptrdiff_t>(i * classes),
                     [](double value) { return static_cast<T>(value); });
    });
    const auto r = [&](std::size_t i) { return residuals.data() + i * classes; };

    const detail::rows_beside beside(reader, embeddings_, "the pool of embeddings");
    using Reader = std::remove_cvref_t<decltype(beside.rows())>;
    using H = typename Reader::scalar;
    const auto h_rows = beside.rows();
    const euclidean_distance metric;
    detail::embedded_rows<Reader, euclidean_distance> h(h_rows, metric);
    std::vector<double> squares(n), lengths(n);  // |h|^2, |g|
    h.template each<true>([&](std::size_t i, const H* x) {
      squares[i] = detail::sum_of_squares(std::span<const H>(x, h.width()));
      lengths[i] = std::sqrt(squares[i] * detail::sum_of_squares(std::span<const T>(r(i), classes)));
    });
    std::size_t first = n;
    for (std::size_t i = 0; i < n; ++i)
      if (!taken[i] && (first == n || lengths[i] > lengths[first])) first = i;

    std::vector<double> nearest(n, (std::numeric_limits<double>::infinity)());
    std::vector<H> centre(h.width());
    random_stream random(q.seed);
    return detail::draw_apart(
        {first}, q.budget, nearest, taken, random, [](std::size_t) { return 1.0; },
        [&](std::size_t s) {
          std::copy_n(h(s), h.width(), centre.data());
          const double square = detail::sum_of_squares(std::span<const T>(r(s), classes));
          h.template each<false>([&](std::size_t i, const H* x) {
            const double gap = lengths[i] - lengths[s];
            if (taken[i] || gap * gap >= nearest[i]) return;
            const detail::step_of u(r(i), r(s), classes), v(x, centre.data(), h.width());
            const double square_of_gap = u.square * squares[i] + 2 * u.along * (v.along + v.square) + square * v.square;
            nearest[i] = (std::min)(nearest[i], (std::max)(0.0, square_of_gap));
          });
        });
  }

 private:
  decltype(as_reader(std::declval<const Embeddings&>())) embeddings_;  // a view of memory, or a reference to the reader
};

/// @cond
template <class E>
  requires pool<std::remove_cvref_t<E>> badge(E&&)
->badge<std::remove_cvref_t<E>>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
