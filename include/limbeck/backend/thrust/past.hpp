#ifndef LIMBECK_BACKEND_THRUST_PAST_HPP
#define LIMBECK_BACKEND_THRUST_PAST_HPP

/// @file
/// The student's own past in device memory.

#include <limbeck/backend/thrust/places.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/target/past.hpp>

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>

#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// One row of predictions: looked at, or added to the average of its sample.
template <class T>
struct prediction_job {
  rows<const T> logits;
  std::span<const std::size_t> ids;
  rows<T> sums;
  std::uint64_t* updates;
  int* faults;  // one a row: 1 where the id is no sample, 2 where there is no softmax; null where all has been looked at
  T keep, take;

  template <class Team>
  LIMBECK_HOST_DEVICE void row(const Team& team, std::size_t r, std::span<T> e) const {
    const std::size_t n = logits.classes, id = ids[r];
    for_own<T>(team, n, [&](std::size_t c) { e[c] = logits(r, c); });
    const auto s = exponentials_of(team, static_cast<const T*>(e.data()), n, T(1), e.data());
    if (faults) {
      if (team.rank() == 0) faults[r] = id >= sums.samples ? 1 : s.proper() ? 0 : 2;
      return;
    }
    const T scale = take / s.sum;
    T* const sum = sums.row(id);
    for_own<T>(team, n, [&](std::size_t c) { sum[c] = keep * sum[c] + scale * e[c]; });
    if (team.rank() == 0) ++updates[id];
  }
};

template <class U>
struct has_average {
  const std::uint64_t* updates;
  std::span<const std::size_t> ids;
  std::size_t samples;
  strided_vector<U> out;
  LIMBECK_HOST_DEVICE void operator()(std::size_t r) const {
    out.data[static_cast<std::ptrdiff_t>(r) * out.stride] = ids[r] < samples && updates[ids[r]] > 0 ? U(1) : U(0);
  }
};

}  // namespace detail

/// `temporal_ensemble` in device memory: the same averages, of logits that are there; ids are a device vector of
/// `std::size_t`. Its state is saved as the host's is, and restored by either.
template <class T>
class device_temporal_ensemble {
 public:
  /// @param samples of the training set
  /// @param classes of the logits
  /// @param decay in [0, 1); 0.6 as published
  /// @throws value_error where it is not, and where samples x classes is beyond any memory.
  device_temporal_ensemble(std::size_t samples, std::size_t classes, double decay = 0.6)
      : classes_(classes), decay_(decay), sums_(detail::numbers_of("a temporal ensemble", {samples, classes}), T(0)), updates_(samples, 0) {
    if (!(decay >= 0 && decay < 1))
      raise<value_error>("limbeck: decay is " + detail::show(decay) + ", expected a number in [0, 1)");
  }
  std::size_t samples() const { return updates_.size(); }
  std::size_t classes() const { return classes_; }
  /// How often sample @p id was updated; waits.
  std::size_t updates(std::size_t id) const { return static_cast<std::size_t>(static_cast<std::uint64_t>(updates_[id])); }

  /// Adds the student's @p logits of the samples @p ids, one a row. An id may stand there once a call. Waits until all rows have
  /// been looked at.
  /// @throws shape_error, value_error where an id is no sample or a row has no softmax; the state stays as it was.
  template <class Ids, tensor X>
  void update(const Ids& ids, const X& logits, device_workspace& ws) {
    static_assert(std::is_same_v<typename tensor_traits<X>::sweep, device_memory>,
                  "limbeck: a device_temporal_ensemble takes logits in device memory");
    static_assert(
        std::is_same_v<typename tensor_traits<X>::scalar, T>,
        "limbeck: the ensemble and the logits hold different scalar types; float goes with float, double with double");
    const rows<const T> x = tensor_traits<X>::view(logits);
    const std::span<const std::size_t> which = view(ids);
    if (x.samples != which.size() || x.classes != classes_)
      detail::throw_shape("logits", x.samples, x.classes, which.size(), classes_);
    faults_.resize(x.samples);
    detail::prediction_job<T> job{x,
                                  which,
                                  rows<T>(thrust::raw_pointer_cast(sums_.data()), samples(), classes_),
                                  thrust::raw_pointer_cast(updates_.data()),
                                  thrust::raw_pointer_cast(faults_.data()),
                                  static_cast<T>(decay_),
                                  static_cast<T>(1 - decay_)};
    detail::run_rows<T>(job, x.samples, x.classes, x.classes, ws);
    std::vector<int> faults(x.samples);
    if (!faults.empty())
      detail::fetch_from_device(faults.data(), job.faults, faults.size() * sizeof(int), ws.stream());
    for (const int kind : {1, 2})  // as on the host: ids before rows
      for (std::size_t r = 0; r < faults.size(); ++r)
        if (faults[r] == kind)
          raise<value_error>(kind == 1 ? "limbeck: the sample id at position " + std::to_string(r) + " is not in 0 to " +
                                             std::to_string(static_cast<std::int64_t>(samples()) - 1)
                                       : "limbeck: logits row " + std::to_string(r) +
                                             " has no softmax: it holds a NaN or +inf, or is all -inf");
    job.faults = nullptr;
    detail::run_rows<T>(job, x.samples, x.classes, x.classes, ws);
    detail::wait_for_device(ws.stream());  // who asks for averages may do so on another stream
  }
  /// The averages of the samples @p ids as a target, for a term at @p temperature, see `temporal_ensemble::target`; a row whose
  /// id is no sample is NaN.
  template <class Ids, number N = double>
  auto target(const Ids& ids, const N& temperature = 1) const {
    auto t = as_schedule(temperature);
    detail::check_positive("the temperature of the temporal ensemble", t);
    return temporal_target<T, decltype(t), device_memory>{
        rows<const T>(thrust::raw_pointer_cast(sums_.data()), samples(), classes_), view(ids), std::move(t)};
  }
  /// 1 for each of the samples @p ids that has an average, 0 for the others, to be given to the call as `row_weights`.
  template <class Ids, class Out>
  void row_weights(const Ids& ids, Out& out) const {
    const std::span<const std::size_t> which = view(ids);
    static_assert(std::is_same_v<detail::vector_memory_t<Out>, device_memory>, "limbeck: out is no vector in device memory");
    const auto to = detail::vector_memory(out);
    if (to.size != which.size()) detail::throw_length("out", to.size, which.size());
    using U = detail::vector_element_t<Out>;
    const thrust::counting_iterator<std::size_t> first(0);
    thrust::for_each(thrust::device, first, first + static_cast<std::ptrdiff_t>(to.size),
                     detail::has_average<U>{thrust::raw_pointer_cast(updates_.data()), which, samples(), {to.data, to.size, to.stride}});
  }
  /// Saves or restores the state, whose size is fixed.
  template <class Archive>
  void serialize(Archive& archive) {
    std::vector<T> sums(sums_.size());
    std::vector<std::uint64_t> updates(updates_.size());
    thrust::copy(sums_.begin(), sums_.end(), sums.begin());
    thrust::copy(updates_.begin(), updates_.end(), updates.begin());
    std::span<T> all_sums(sums);
    std::span<std::uint64_t> all_updates(updates);
    archive("sums", all_sums);
    archive("updates", all_updates);
    thrust::copy(sums.begin(), sums.end(), sums_.begin());
    thrust::copy(updates.begin(), updates.end(), updates_.begin());
  }

 private:
  template <class Ids>
  static std::span<const std::size_t> view(const Ids& ids) {
    static_assert(std::is_same_v<detail::vector_memory_t<Ids>, device_memory> &&
                      std::is_same_v<detail::vector_element_t<Ids>, std::size_t>,
                  "limbeck: ids are a vector of std::size_t in device memory");
    const auto memory = detail::vector_memory(ids);
    if (memory.stride != 1) raise<shape_error>("limbeck: ids stand " + std::to_string(memory.stride) + " apart, expected neighbours");
    return {memory.data, memory.size};
  }
  std::size_t classes_;
  double decay_;
  thrust::device_vector<T> sums_;
  thrust::device_vector<std::uint64_t> updates_;
  thrust::device_vector<int> faults_;
};

LIMBECK_END_NAMESPACE

#endif
