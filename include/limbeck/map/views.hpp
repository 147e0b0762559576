#ifndef LIMBECK_MAP_VIEWS_HPP
#define LIMBECK_MAP_VIEWS_HPP

/// @file
/// The same numbers as other rows: a loss within each group of rows, or within each sample, between its channels or its positions.

#include <limbeck/core/picture_rows.hpp>
#include <limbeck/loss/support.hpp>
#include <limbeck/objective/inside.hpp>

#include <string>
#include <type_traits>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

template <class T>
rows<T> rows_within(const rows<T>& x, std::size_t first, std::size_t count) {
  return x.data ? rows<T>(x.row(first), count, x.classes, x.sample_stride, x.class_stride) : rows<T>{};
}

/// The number of each row in its group.
struct number_within {
  const std::size_t* rows;
  std::size_t* numbers;
  std::size_t size;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    if (team.rank() == 0) numbers[r] = rows[r] % size;
  }
};
/// The weight of a sample, at each of its rows.
struct repeat_weight {
  any_vector from;
  double* to;
  std::size_t count;
  template <class Team>
  LIMBECK_HOST_DEVICE void operator()(const Team& team, std::size_t r) const {
    for_own<double>(team, count, [&](std::size_t k) { to[r * count + k] = from.number(r); });
  }
};

}  // namespace detail

template <class E>
struct grouped_loss : detail::loss_around<E> {
  static constexpr const char* called = "grouped";
  std::size_t size;
  constexpr grouped_loss(std::size_t n, E e) : detail::loss_around<E>(std::move(e)), size(n) {}
  std::string describe() const { return "grouped(" + std::to_string(size) + ", " + detail::described_inside(this->inner) + ")"; }

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    if (size == 0) raise<value_error>("limbeck: grouped has 0 rows in a group, expected at least 1");
    if (x.samples_of_call() % size != 0)
      raise<shape_error>("limbeck: student has " + std::to_string(x.samples_of_call()) + " rows, which are no whole number of groups of " +
                         std::to_string(size));
    if constexpr (!batch<T, Memory>::on_host)
      if (!x.call_rows.empty())
        raise<value_error>("limbeck: grouped has its groups made by the host, so on a device every row of the call has to count");
    const auto group_of = [&](std::size_t r) { return x.row_of_call(r) / size; };
    const auto end_of = [&](std::size_t first) {
      if (x.call_rows.empty()) return first + size;
      std::size_t end = first;
      while (end < x.samples() && group_of(end) == group_of(first)) ++end;
      return end;
    };
    const std::span<std::size_t> numbers = numbers_within(x);
    std::size_t groups = 0;  // with a row that counts
    for (std::size_t first = 0; first < x.samples(); first = end_of(first)) ++groups;
    detail::inside<E, T, Memory> losses(this->inner, x);
    const double share = groups > 0 ? 1 / static_cast<double>(groups) : 0;
    for (std::size_t first = 0, end = 0; first < x.samples(); first = end) {
      end = end_of(first);
      const std::size_t n = end - first;
      losses.add({detail::rows_within(x.student, first, n), detail::rows_within(x.teacher, first, n),
                  detail::rows_within(x.gradient, first, n), detail::rows_within(x.teacher_gradient, first, n), x.labels.part(first, n), {}, 0,
                  numbers.subspan(numbers.empty() ? 0 : first, numbers.empty() ? 0 : n), size},
                 share);
    }
    return losses.result();
  }

 private:
  /// Of each row in its group, where rows are missing.
  template <class T, class Memory>
  std::span<std::size_t> numbers_within(const batch<T, Memory>& x) const {
    if (x.call_rows.empty()) return {};
    const std::span<std::size_t> all = x.memory.template take<std::size_t>(x.samples());
    x.each_row(x.samples(), 1, detail::number_within{x.call_rows.data(), all.data(), size});
    return all;
  }
};

template <class E>
struct transposed_loss : detail::loss_around<E> {
  static constexpr const char* called = "transposed";
  constexpr explicit transposed_loss(E e) : detail::loss_around<E>(std::move(e)) {
    static_assert(!detail::inner_traits<E>::Plan::labels, "limbeck: transposed(loss) has a row for each column; labels are of the call's rows");
  }
  std::string describe() const { return "transposed(" + detail::described_inside(this->inner) + ")"; }

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const auto turned = []<class U>(const rows<U>& r) { return r.data ? r.transposed() : rows<U>{}; };
    detail::inside<E, T, Memory> losses(this->inner, x);
    losses.add({turned(x.student), turned(x.teacher), turned(x.gradient), turned(x.teacher_gradient)});
    return losses.result();
  }
};

template <bool Channels, class E>
struct within_samples_loss : detail::loss_around<E> {
  static constexpr const char* called = Channels ? "by_channel" : "by_position";
  static constexpr bool by_row = true;  // a sample is a row of the call
  std::size_t channels;
  constexpr within_samples_loss(std::size_t n, E e) : detail::loss_around<E>(std::move(e)), channels(n) {
    static_assert(!detail::inner_traits<E>::Plan::labels,
                  "limbeck: by_channel and by_position have a row for each channel or position; labels are of the call's rows; "
                  "positions_as_rows(x, channels) is a tensor whose rows have labels");
  }
  std::string describe() const {
    return std::string(called) + "(" + std::to_string(channels) + ", " + detail::described_inside(this->inner) + ")";
  }

  template <class T, class Memory>
  batch_number<Memory> operator()(const batch<T, Memory>& x) const {
    const std::size_t positions = detail::positions_of(x.student.classes, channels, "student");
    if (x.teacher.data && detail::positions_of(x.teacher.classes, channels, "teacher") != positions && !Channels)
      raise<shape_error>("limbeck: teacher has " + std::to_string(x.teacher.classes) + " columns and student " + std::to_string(x.student.classes) +
                         ", which are not as many positions of " + std::to_string(channels) + " channels");
    detail::inside<E, T, Memory> losses(this->inner, x);
    if (x.samples() == 0) return losses.result();
    const std::size_t count = Channels ? channels : positions;
    losses.add_rows({of(x.student), of(x.teacher), of(x.gradient), of(x.teacher_gradient), {}, each(x, count),
                     x.mean_over * static_cast<double>(count)});
    if constexpr (relates) {
      if constexpr (!batch<T, Memory>::on_host)
        if (x.weights.data())
          raise<value_error>(std::string("limbeck: ") + called +
                             " of a loss that relates channels or positions takes no row_weights on a device: its samples are run by the host");
      const double total = x.total();
      for (std::size_t r = 0; r < x.samples(); ++r)
        losses.add_whole({of(x.student, r), of(x.teacher, r), of(x.gradient, r), of(x.teacher_gradient, r)}, x.row_weight(r) / total);
    }
    return losses.result();
  }

 private:
  static constexpr bool relates = detail::inner_traits<E>::Plan::template any<batchwise>;

  /// The weights of the samples, at each of their rows.
  template <class T, class Memory>
  static any_vector each(const batch<T, Memory>& x, std::size_t count) {
    if (!x.weights.data()) return {};
    double* const all = x.memory.template take<double>(x.samples() * count).data();
    x.each_row(x.samples(), count, detail::repeat_weight{x.weights, all, count});
    return any_vector(all, x.samples() * count);
  }
  template <class T>
  stored_rows<T> of(const rows<T>& x) const {
    return x.data ? detail::within_rows<Channels>(stored_rows<T>(x), channels) : stored_rows<T>{};
  }
  template <class T>
  stored_rows<T> of(const rows<T>& x, std::size_t r) const {
    return of(detail::rows_within(x, r, 1));
  }
};
/// @endcond

/// @p loss within each group of @p n neighbouring rows of the call, such as the pixels of a picture or the views of a sample; the mean
/// over the groups. Losses inside number the rows of each group from 0, for data that they hold of each row.
///
/// A loss that relates rows relates those of its group only. Rows that do not count are left out of their group, and a group without
/// rows out of the mean. The losses of rows inside are means over their group, so that groups weigh alike.
/// @throws shape_error where the rows of the call are no whole number of groups; value_error where @p n is 0; and what the loss throws,
///   whose rows are those of the group
template <loss E>
constexpr auto grouped(std::size_t n, const E& e) {
  return grouped_loss<E>(n, e);
}
/// @p loss between the columns of the call: a row for each column, whose numbers are the samples. Within pictures of which each pixel is a
/// row, `grouped(pixels, transposed(at_temperature(4.0, forward_kl{})))` compares channels (Shu et al., Channel-wise Knowledge Distillation
/// for Dense Prediction, 2021, arXiv:2011.13256).
template <loss E>
constexpr auto transposed(const E& e) {
  return transposed_loss<E>(e);
}
/// @p loss within each sample, whose columns are @p channels x positions: a row for each channel, whose numbers are the positions. The
/// mean over the samples, each by its row weight.
///
/// `by_channel(c, at_temperature(4.0, forward_kl{}))` is channel-wise distillation (Shu et al., 2021, arXiv:2011.13256), whose code
/// takes the sum over channels over their number, as the mean here. Nothing is copied.
/// @throws shape_error where the columns are no whole number of positions; what the loss throws, whose rows are channels
template <loss E>
constexpr auto by_channel(std::size_t channels, const E& e) {
  return within_samples_loss<true, E>(channels, e);
}
/// The same with a row for each position, whose numbers are the channels: `by_position(c, similarity_preserving{})` compares the
/// positions of each picture with each other.
template <loss E>
constexpr auto by_position(std::size_t channels, const E& e) {
  return within_samples_loss<false, E>(channels, e);
}

LIMBECK_END_NAMESPACE

#endif
