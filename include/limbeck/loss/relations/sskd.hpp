#ifndef LIMBECK_LOSS_RELATIONS_SSKD_HPP
#define LIMBECK_LOSS_RELATIONS_SSKD_HPP

/// @file
/// Self-supervision as knowledge: to which picture each transformed view belongs.

#include <limbeck/loss/relations/gram.hpp>

#include <cmath>

LIMBECK_BEGIN_NAMESPACE

namespace detail {

/// Which rows are views, and which picture they are of: of @p views rows the first is the picture itself.
struct view_groups {
  std::size_t views;
  LIMBECK_HOST_DEVICE bool is_view(std::size_t i) const { return i % views != 0; }
  LIMBECK_HOST_DEVICE std::size_t picture(std::size_t i) const { return i / views; }
  LIMBECK_HOST_DEVICE std::size_t pictures(std::size_t rows) const { return (rows + views - 1) / views; }
};

/// How many pictures the teacher finds nearer to view i than its own; 0 also for what is no view.
template <class T>
struct rank_of_view {
  rows<const T> cosines;
  view_groups of;
  double* ranks;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t i) const {
    const std::size_t own = of.picture(i);
    const T* const row = cosines.row(i);
    const double rank = of.is_view(i) ? sum_own<T, double>(team, cosines.classes, [&](std::size_t j) {
      return row[j] > row[own] || (row[j] == row[own] && j < own) ? 1.0 : 0.0;
    }) : 0.0;
    if (team.rank() == 0) ranks[i] = rank;
  }
};
/// How many views are kept: those that are right, and a part of the others.
struct count_kept_views {
  const double* ranks;
  std::size_t samples;
  view_groups of;
  double keep_wrong;
  double* kept;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t) const {
    const double wrong = sum_own<double, double>(team, samples, [&](std::size_t i) { return ranks[i] > 0 ? 1.0 : 0.0; });
    const double views = static_cast<double>(samples - of.pictures(samples));
    if (team.rank() == 0) *kept = views - wrong + std::floor(wrong * keep_wrong);
  }
};
/// KL of a view's softmax over pictures, teacher's against student's, and its slope by the student's cosines; 0 where the view is left out.
template <class T>
struct compare_view {
  rows<T> s;  // becomes the slopes
  rows<const T> t;
  view_groups of;
  const double *ranks, *kept;
  double temperature, scale;

  template <class Team>
  LIMBECK_HOST_DEVICE double operator()(const Team& team, std::size_t i) const {
    const std::size_t n = s.classes;
    T* const a = s.row(i);
    const T* const b = t.row(i);
    const bool keep = is_kept(team, i);
    const double top = static_cast<double>(largest(team, a, n)), other_top = static_cast<double>(largest(team, b, n));
    team_array<double, 3> sums{};  // of exponentials; NaN where a number is none
    for_own<T>(team, n, [&](std::size_t j) {
      sums.v[0] += exponential(a[j], top);
      sums.v[1] += exponential(b[j], other_top);
      sums.v[2] += static_cast<double>((a[j] - a[j]) + (b[j] - b[j]));
    });
    sums = team.sum(sums);
    if (!keep) {
      for_own<T>(team, n, [&](std::size_t j) { a[j] = T(0); });
      return sums.v[2];
    }
    const double shift = (top - other_top) / temperature + std::log(sums.v[0] / sums.v[1]), count = *kept;
    const double value = sum_own<T, double>(team, n, [&](std::size_t j) {
      const double gap = (static_cast<double>(b[j]) - static_cast<double>(a[j])) / temperature + shift;  // log p - log q
      const double p = exponential(b[j], other_top) / sums.v[1], q = exponential(a[j], top) / sums.v[0];
      const double excess = std::fabs(gap) < 1 ? p * std::expm1(-gap) : q - p;
      a[j] = static_cast<T>(scale * temperature / count * excess);
      return p * gap + excess;  // the second parts sum to 0, and take the rounding of the first away
    });
    return temperature * temperature * value / count;  // one that is kept is counted
  }

 private:
  LIMBECK_HOST_DEVICE double exponential(T cosine, double highest) const {
    return std::exp((static_cast<double>(cosine) - highest) / temperature);
  }
  /// Views in the order of the teacher's ranks, then of rows: the first ones.
  template <class Team>
  LIMBECK_HOST_DEVICE bool is_kept(const Team& team, std::size_t i) const {
    if (!of.is_view(i)) return false;
    if (ranks[i] == 0) return true;
    const double before = sum_own<double, double>(team, s.samples, [&](std::size_t k) {
      return of.is_view(k) && (ranks[k] < ranks[i] || (ranks[k] == ranks[i] && k < i)) ? 1.0 : 0.0;
    });
    return before < *kept;
  }
};

}  // namespace detail

/// Self-supervised contrast: T^2 times the mean over transformed views of KL(p || q), q the softmax over pictures of
/// cos(view, picture)/T by the student's features, p by the teacher's.
///
/// Rows come in groups of `views`: a picture, then its transformed views (turned by 90, 180 and 270 degrees there); the last
/// group may be shorter, and every row counts. Features are
/// those of a small head of each network that tells to which picture a view belongs; widths may differ. Views that the teacher
/// assigns to a wrong picture are ranked by how many pictures it finds nearer than the right one, and of them only the part
/// `keep_wrong` that is least wrong is kept. The other parts of the method are `cross_entropy` and `forward_kl` at T = 4
/// on rows that are pictures, and `forward_kl` on those that are views, which say so by their mask. O(samples^2/views x width).
/// @throws value_error where a feature is not finite, a mask or weight takes rows out, views is less than 2, the temperature not
///   a positive number, or keep_wrong not in [0, 1].
///
/// Xu, Liu, Li and Loy, Knowledge Distillation Meets Self-Supervision, 2020, arXiv:2006.07114, and the authors' code, with its
/// temperature and parts. What ties is taken in the order of rows; there, in any.
struct sskd {
  using limbeck_loss = batchwise;
  static constexpr bool any_width = true;
  std::size_t views = 4;     ///< rows of a picture, itself the first
  double temperature = 0.5;  ///< T, of the cosines
  double keep_wrong = 0.75;  ///< of the views that the teacher gets wrong

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t n = x.samples();
    if (views < 2)
      raise<value_error>("limbeck: sskd.views is " + std::to_string(views) + ", expected 2 or more: a picture and what is made of it");
    if (x.samples_of_call() != n)
      raise<value_error>("limbeck: sskd takes rows in groups of " + std::to_string(views) + ", and " +
                         std::to_string(x.samples_of_call() - n) + " rows of the call do not count");
    if (!(temperature > 0) || temperature - temperature != 0)
      raise<value_error>("limbeck: sskd.temperature is " + detail::show(temperature) + ", expected a positive number");
    if (!(keep_wrong >= 0 && keep_wrong <= 1))
      raise<value_error>("limbeck: sskd.keep_wrong is " + detail::show(keep_wrong) + ", expected 0 to 1");
    if (n == 0) return 0;
    const detail::view_groups of{views};
    T* const norms = x.memory.template take<T>(n).data();
    const rows<T> teacher = unit(x, x.teacher, norms), t = cosines(x, teacher);
    const rows<T> student = unit(x, x.student, norms), s = cosines(x, student);
    double* const ranks = x.memory.template take<double>(n).data();
    double* const kept = x.memory.template take<double>(1).data();
    x.each_row(n, t.classes, detail::rank_of_view<T>{t, of, ranks});
    x.each_row(1, n, detail::count_kept_views{ranks, n, of, keep_wrong, kept});
    const double* const value = x.sum_rows(n, detail::compare_view<T>{s, t, of, ranks, kept, temperature,
                                                                      static_cast<double>(x.scale)});
    if (x.wants_gradient()) {
      const rows<T> slope = detail::take_matrix(x, n, x.student.classes);
      x.multiply(T(1), s, pictures(student), T(0), slope);
      x.multiply(T(1), s.transposed(), student, T(1), pictures(slope));
      x.each_row(n, slope.classes, detail::pull_back_unit_row<T>{student, norms, slope, x.gradient});
    }
    return detail::finite(x, 1, value);
  }

 private:
  template <class T, class Memory>
  static rows<T> unit(const batch<T, Memory>& x, const rows<const T>& side, T* norms) {
    const rows<T> all = detail::take_matrix(x, side.samples, side.classes);
    x.each_row(side.samples, side.classes, detail::unit_row<T>{side, all, norms});
    return all;
  }
  /// The rows that are pictures.
  template <class T>
  rows<T> pictures(const rows<T>& all) const {
    return {all.data, detail::view_groups{views}.pictures(all.samples), all.classes, all.sample_stride * static_cast<std::ptrdiff_t>(views), all.class_stride};
  }
  /// Of each row with each picture.
  template <class T, class Memory>
  rows<T> cosines(const batch<T, Memory>& x, const rows<T>& all) const {
    const rows<T> out = detail::take_matrix(x, all.samples, pictures(all).samples);
    x.multiply(T(1), all, pictures(all).transposed(), T(0), out);
    return out;
  }
};

LIMBECK_END_NAMESPACE

#endif
