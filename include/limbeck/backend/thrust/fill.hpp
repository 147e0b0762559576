#ifndef LIMBECK_BACKEND_THRUST_FILL_HPP
#define LIMBECK_BACKEND_THRUST_FILL_HPP

/// @file
/// Targets whose rows are in device memory: `fill` by the device, and what a target reads besides tensors, copied there.

#include <limbeck/backend/thrust/places.hpp>
#include <limbeck/backend/thrust/rows.hpp>
#include <limbeck/target/class_map.hpp>
#include <limbeck/target/fill.hpp>

#include <thrust/device_vector.h>

#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// A target's rows, copied to the device by value. Memory of a row: one to put it in whose classes are no neighbours, then the
/// target's.
template <class Target, class T>
struct fill_job {
  Target target;
  rows<T> out;
  fill_arguments<T> in;
  std::size_t numbers() const { return out.classes * (1 + Target::scratch_rows); }

  template <class Team>
  LIMBECK_HOST_DEVICE void row(const Team& team, std::size_t r, std::span<T> memory) const {
    const std::size_t n = out.classes;
    const std::span<T> to(out.class_stride == 1 ? out.row(r) : memory.data(), n);
    const std::int64_t label = in.labels.data() ? in.labels.integer(r) : -1;
    target.fill(target_row<T, Team>{r, to, memory.subspan(n), in.student, label, in.progress, team});
    if (out.class_stride != 1) for_own<T>(team, n, [&](std::size_t c) { out(r, c) = to[c]; });
  }
};

template <>
struct filler_for<device_memory> {
  using workspace_type = device_workspace;
  template <target Target, class T>
  static void run(const Target& t, const rows<T>& out, const fill_arguments<T>& in, device_workspace& ws) {
    static_assert(device_target<Target>,
                  "limbeck: the fill of this target takes rows of the host only; on a device make it a template over the row "
                  "(template <class Row> LIMBECK_HOST_DEVICE void fill(const Row&) const)");
    static_assert(std::is_trivially_copyable_v<settled_t<Target>>,
                  "limbeck: this target holds settings that cannot be copied to a device; keep them trivially copyable");
    if constexpr (device_target<Target>) {
      const fill_job<settled_t<Target>, T> job{detail::settled(t, in.progress), out, in};
      run_rows<T>(job, out.samples, out.classes, job.numbers(), ws);
    }
  }
};

template <class T, class Range>
thrust::device_vector<T> copied_to_device(const Range& x) {
  return thrust::device_vector<T>(x.begin(), x.end());
}
template <class T>
std::span<const T> span_of(const thrust::device_vector<T>& x) {
  return {thrust::raw_pointer_cast(x.data()), x.size()};
}

}  // namespace detail

/// A class map in device memory, for `class_mapped(teacher, map.view())`: that of the host, turned into columns.
template <class T>
class device_class_map {
 public:
  /// Copies. @throws shape_error, value_error where the parts of the map do not fit together, as `class_mapped`.
  explicit device_class_map(const class_map<T>& m) : teacher_classes_(m.offsets.empty() ? 0 : m.offsets.size() - 1) {
    detail::check_class_map(m, teacher_classes_);
    std::vector<std::uint64_t> offsets(m.classes + 1, 0);
    for (const std::int32_t j : m.ids) ++offsets[static_cast<std::size_t>(j) + 1];
    for (std::size_t j = 0; j < m.classes; ++j) offsets[j + 1] += offsets[j];
    std::vector<std::uint64_t> next(offsets.begin(), offsets.end() - 1);
    std::vector<std::int32_t> ids(m.ids.size());
    std::vector<T> weights(m.ids.size());
    for (std::size_t i = 0; i < teacher_classes_; ++i)
      for (auto k = static_cast<std::size_t>(m.offsets[i]); k < m.offsets[i + 1]; ++k) {
        const auto at = static_cast<std::size_t>(next[static_cast<std::size_t>(m.ids[k])]++);
        ids[at] = static_cast<std::int32_t>(i);
        weights[at] = m.weights[k];
      }
    offsets_ = detail::copied_to_device<std::uint64_t>(offsets);
    ids_ = detail::copied_to_device<std::int32_t>(ids);
    weights_ = detail::copied_to_device<T>(weights);
  }
  /// Valid while this is.
  class_map_by_columns<T, device_memory> view() const& {
    return {teacher_classes_, detail::span_of(offsets_), detail::span_of(ids_), detail::span_of(weights_)};
  }
  class_map_by_columns<T, device_memory> view() && = delete;

 private:
  std::size_t teacher_classes_;
  thrust::device_vector<std::uint64_t> offsets_;
  thrust::device_vector<std::int32_t> ids_;
  thrust::device_vector<T> weights_;
};

LIMBECK_END_NAMESPACE

#endif
