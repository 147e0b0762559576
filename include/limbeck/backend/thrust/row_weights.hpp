#ifndef LIMBECK_BACKEND_THRUST_ROW_WEIGHTS_HPP
#define LIMBECK_BACKEND_THRUST_ROW_WEIGHTS_HPP

/// @file
/// Row weights that papers take from a softmax, of rows in device memory.

#include <limbeck/backend/thrust/places.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/target/power_transform.hpp>
#include <limbeck/target/zipf_labels.hpp>

#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <cmath>
#include <limits>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <class X>
concept device_tensor = tensor<X> && std::is_same_v<typename tensor_traits<X>::sweep, device_memory>;

/// sum_i p_i^gamma of a row, NaN where it has no softmax.
template <class T>
struct sum_of_powers {
  rows<const T> teacher;
  double gamma;
  double* out;
  template <class Team>
  LIMBECK_HOST_DEVICE void row(const Team& team, std::size_t r, std::span<T> z) const {
    const std::size_t n = teacher.classes;
    for_own<T>(team, n, [&](std::size_t c) { z[c] = teacher(r, c); });
    const T* const x = z.data();
    const auto p = exponentials_of(team, x, n, T(1), nullptr), powers = exponentials_of(team, x, n, static_cast<T>(gamma), nullptr);
    if (team.rank() == 0)
      out[r] = p.proper() && powers.proper() ? static_cast<double>(powers.sum) * std::pow(static_cast<double>(p.sum), -gamma)
                                             : std::numeric_limits<double>::quiet_NaN();
  }
};
/// p_y^2 of a row, NaN where it has no softmax; and y, with -1 in the place of the square where it is no class.
template <class T>
struct square_of_label {
  rows<const T> student;
  any_vector labels;
  double* out;  // two a row
  template <class Team>
  LIMBECK_HOST_DEVICE void row(const Team& team, std::size_t r, std::span<T> z) const {
    const std::size_t n = student.classes;
    const std::int64_t y = labels.integer(r);
    double square = -1;
    if (y >= 0 && static_cast<std::size_t>(y) < n) {
      for_own<T>(team, n, [&](std::size_t c) { z[c] = student(r, c); });
      square = std::exp(-2 * surprise_of(team, static_cast<const T*>(z.data()), n, static_cast<std::size_t>(y)));
    }
    if (team.rank() == 0) out[2 * r] = square, out[2 * r + 1] = static_cast<double>(y);
  }
};
template <class U>
struct shifted_numbers {
  const double* from;
  std::ptrdiff_t step;
  double shift;
  strided_vector<U> to;
  LIMBECK_HOST_DEVICE void operator()(std::size_t r) const {
    const auto i = static_cast<std::ptrdiff_t>(r);
    to.data[i * to.stride] = static_cast<U>(from[i * step] + shift);
  }
};
/// out_r = numbers[r step] + shift.
template <class Out>
void write_row_numbers(const thrust::device_vector<double>& numbers, std::size_t step, double shift, Out& out, std::size_t samples) {
  using U = vector_element_t<Out>;
  const auto to = vector_memory(out);
  const shifted_numbers<U> write{thrust::raw_pointer_cast(numbers.data()), static_cast<std::ptrdiff_t>(step), shift,
                                 {to.data, to.size, to.stride}};
  const thrust::counting_iterator<std::size_t> first(0);
  thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(samples), write);
}
template <class Out>
void check_row_numbers(Out& out, std::size_t samples) {
  static_assert(std::is_same_v<vector_memory_t<Out>, device_memory>, "limbeck: out is no vector in device memory");
  if (out.size() != samples) throw_length("out", out.size(), samples);
}
inline std::vector<double> fetched(const thrust::device_vector<double>& x, const device_workspace& ws) {
  std::vector<double> host(x.size());
  if (!host.empty()) fetch_from_device(host.data(), thrust::raw_pointer_cast(x.data()), host.size() * sizeof(double), ws.stream());
  return host;
}

}  // namespace detail

/// `wttm_row_weights` of a teacher on the device, to a vector there. Waits.
template <detail::device_tensor X, class Out>
void wttm_row_weights(const X& teacher, double gamma, Out&& out, device_workspace& ws) {
  using T = typename tensor_traits<X>::scalar;
  const rows<const T> x = tensor_traits<X>::view(teacher);
  detail::check_gamma(gamma);
  detail::check_row_numbers(out, x.samples);
  thrust::device_vector<double> sums(x.samples);
  detail::run_rows<T>(detail::sum_of_powers<T>{x, gamma, thrust::raw_pointer_cast(sums.data())}, x.samples, x.classes, x.classes, ws);
  const std::vector<double> seen = detail::fetched(sums, ws);
  for (std::size_t r = 0; r < seen.size(); ++r)
    if (seen[r] != seen[r]) detail::throw_no_softmax("teacher", r);
  detail::write_row_numbers(sums, 1, 0, out, x.samples);
}

/// `uskd_row_weights` of a student on the device, to a vector there. Waits.
template <detail::device_tensor X, class Labels, class Out>
void uskd_row_weights(const X& student, const Labels& labels, Out&& out, device_workspace& ws) {
  using T = typename tensor_traits<X>::scalar;
  static_assert(std::is_same_v<detail::vector_memory_t<Labels>, device_memory>,
                "limbeck: the labels live in another memory (host or device) than the student");
  const rows<const T> x = tensor_traits<X>::view(student);
  const any_vector y = detail::view_vector(labels);
  if (y.size() != x.samples) detail::throw_length("labels", y.size(), x.samples);
  detail::check_row_numbers(out, x.samples);
  thrust::device_vector<double> squares(2 * x.samples);
  detail::run_rows<T>(detail::square_of_label<T>{x, y, thrust::raw_pointer_cast(squares.data())}, x.samples, x.classes, x.classes, ws);
  const std::vector<double> seen = detail::fetched(squares, ws);
  double mean_square = 0;
  for (std::size_t r = 0; r < x.samples; ++r) {
    if (seen[2 * r] == -1) detail::throw_no_class(static_cast<std::int64_t>(seen[2 * r + 1]), r, x.classes);
    if (seen[2 * r] != seen[2 * r]) detail::throw_no_softmax("student", r);
    mean_square += seen[2 * r];
  }
  if (x.samples > 0)
    detail::write_row_numbers(squares, 2, 1 - mean_square / static_cast<double>(x.samples), out, x.samples);
}

LIMBECK_END_NAMESPACE

#endif
