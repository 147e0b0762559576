#ifndef LIMBECK_RANKS_BATCHES_HPP
#define LIMBECK_RANKS_BATCHES_HPP

/// @file
/// A batch whose rows lie on several ranks, as one batch: for losses that relate samples to each other.

#include <limbeck/core/scratch.hpp>
#include <limbeck/engine/problem.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

LIMBECK_BEGIN_NAMESPACE

/// @cond
namespace detail {

struct batch_over_tag;

/// What a rank says of its part of a batch before the rows travel: a fault that keeps it from coming, or of what kind its rows are.
struct batch_part {
  enum item : std::size_t {
    columns, teacher_columns, soft_columns, type, teacher_type, soft_type, given,  // of rows: a rank without any says nothing
    class_mask, number, reduce, mean_over, progress, ignore_index, unlabelled, items
  };
  static constexpr std::array<const char*, items> words{
      "student", "teacher", "soft_labels", "the element type of student", "the element type of teacher", "the element type of soft_labels",
      "the choice of labels, soft_labels, row_weights, row_mask, row_temperatures, row_losses and row_temperature_gradient", "class_mask",
      "the scalar type", "the reduction", "mean_over", "progress", "ignore_index", "unlabelled"};
  enum what : std::uint64_t {
    teacher = 1, soft_labels = 2, labels = 4, weights = 8, mask = 16, temperatures = 32, losses = 64, slopes = 128
  };

  rank_fault fault = rank_fault::none;
  std::uint64_t rows = 0;
  std::array<std::uint64_t, items> says{};

  bool has(what x) const { return (says[given] & x) != 0; }
  std::size_t size(item x) const { return static_cast<std::size_t>(says[x]); }
  element_type type_of(item x) const { return static_cast<element_type>(says[x]); }
};

template <class T>
batch_part part_of(const problem<T>& in) {
  batch_part p;
  p.rows = in.samples();
  const auto say = [&](batch_part::item what, auto x) { p.says[what] = static_cast<std::uint64_t>(x); };
  say(batch_part::columns, in.classes());
  say(batch_part::type, in.student.type);
  say(batch_part::teacher_columns, in.teacher.classes);
  say(batch_part::teacher_type, in.teacher.type);
  say(batch_part::soft_columns, in.soft_labels.classes);
  say(batch_part::soft_type, in.soft_labels.type);
  const auto if_given = [](bool given, batch_part::what what) { return given ? what : std::uint64_t{0}; };
  say(batch_part::given, if_given(in.teacher.data, batch_part::teacher) | if_given(in.soft_labels.data, batch_part::soft_labels) |
                             if_given(in.labels.data(), batch_part::labels) | if_given(in.row_weights.data(), batch_part::weights) |
                             if_given(in.row_mask.data(), batch_part::mask) |
                             if_given(in.row_temperatures.data(), batch_part::temperatures) |
                             if_given(in.row_losses, batch_part::losses) | if_given(in.row_temperature_gradient, batch_part::slopes));
  std::uint64_t classes = 0;
  for (std::size_t c = 0; in.class_mask.data() && c < in.class_mask.size(); ++c)
    classes = (classes ^ (in.class_mask.number(c) != 0 ? 2U : 1U)) * 0x100000001b3U;
  say(batch_part::class_mask, classes);
  say(batch_part::number, sizeof(T));
  say(batch_part::reduce, in.reduce);
  say(batch_part::mean_over, std::bit_cast<std::uint64_t>(in.mean_over));
  say(batch_part::progress, std::bit_cast<std::uint64_t>(in.progress));
  say(batch_part::ignore_index, in.ignore_index);
  say(batch_part::unlabelled, in.unlabelled_index);
  return p;
}

/// The parts of all ranks, which are of one kind.
class batch_parts {
 public:
  /// Collective. @throws on all ranks: the lowest's @p what, where one brings a fault; shape_error or value_error where two differ.
  batch_parts(const communicator_ref& ranks, const batch_part& mine, std::string what) : ranks_(ranks), all_(all_gather(ranks, mine)) {
    std::vector<rank_fault> faults;
    for (const batch_part& p : all_) faults.push_back(p.fault);
    throw_lowest(ranks, faults, std::move(what));
    first_.push_back(0);
    for (const batch_part& p : all_) {
      first_.push_back(first_.back() + static_cast<std::size_t>(p.rows));
      longest_ = (std::max)(longest_, static_cast<std::size_t>(p.rows));
    }
    while (model_ + 1 < all_.size() && all_[model_].rows == 0) ++model_;
    for (std::size_t k = 0; k < all_.size(); ++k) compare(k);
  }

  /// What they all are.
  const batch_part& alike() const { return all_[model_]; }
  std::size_t total() const { return first_.back(); }
  std::size_t longest() const { return longest_; }
  std::size_t ranks() const { return all_.size(); }
  std::size_t first_of(std::size_t k) const { return first_[k]; }
  std::size_t count_of(std::size_t k) const { return first_[k + 1] - first_[k]; }
  std::size_t first() const { return first_of(static_cast<std::size_t>(ranks_.rank())); }

  /// A message of a row of the whole, as one of its owner's.
  std::string as_owner(std::string what) const {
    constexpr std::string_view before = " at row ";
    const std::size_t at = what.find(before);
    if (at == std::string::npos) return what;
    const std::size_t digits = at + before.size();
    std::size_t end = digits, row = 0;
    for (; end < what.size() && what[end] >= '0' && what[end] <= '9'; ++end) row = 10 * row + static_cast<std::size_t>(what[end] - '0');
    if (end == digits || row >= total()) return what;
    std::size_t k = 0;
    while (first_[k + 1] <= row) ++k;
    what.replace(digits, end - digits, std::to_string(row - first_[k]));
    return said_by_rank(k, ranks_.size(), std::move(what));
  }

 private:
  void compare(std::size_t k) const {
    for (std::size_t i = all_[k].rows == 0 ? batch_part::class_mask : batch_part::columns; i < batch_part::items; ++i) {
      const std::uint64_t own = all_[k].says[i], model = alike().says[i];
      if (own == model) continue;
      const bool width = i <= batch_part::soft_columns;
      std::string text(batch_part::words[i]);
      text += width ? " has " + std::to_string(own) + " columns, and " + std::to_string(model) : std::string(" is another than");
      text = said_by_rank(k, ranks_.size(), text + " on rank " + std::to_string(model_) + "; ranks bring parts of one batch");
      if (width) raise<shape_error>(text);
      raise<value_error>(text);
    }
  }

  const communicator_ref& ranks_;
  std::vector<batch_part> all_;
  std::vector<std::size_t> first_;  // row of each rank, and how many there are
  std::size_t model_ = 0;           // the first rank with rows
  std::size_t longest_ = 0;
};

/// Row @p r as it is stored, one number after the other.
template <class T>
void copy_row(const stored_rows<T>& x, std::size_t r, std::byte* to) {
  const std::size_t bytes = size_of(x.type);
  const auto* from = static_cast<const std::byte*>(x.at_row(r));
  if (x.class_stride == 1 && x.classes > 0) std::memcpy(to, from, x.classes * bytes);
  for (std::size_t c = 0; x.class_stride != 1 && c < x.classes; ++c, to += bytes)
    std::memcpy(to, from + static_cast<std::ptrdiff_t>(c) * x.class_stride * static_cast<std::ptrdiff_t>(bytes), bytes);
}
template <class T>
void write_row(const std::byte* from, const stored_rows<T>& x, std::size_t r) {
  const std::size_t bytes = size_of(x.type);
  auto* const to = static_cast<std::byte*>(x.at_row(r));
  for (std::size_t c = 0; c < x.classes; ++c, from += bytes)
    std::memcpy(to + static_cast<std::ptrdiff_t>(c) * x.class_stride * static_cast<std::ptrdiff_t>(bytes), from, bytes);
}

/// A target's rows, made where they are asked for, in the place of the target.
template <class T>
void write_out_target(problem<T>& in, scratch& memory) {
  if (!in.target.fill) return;
  const std::size_t n = in.samples(), columns = in.target.classes;
  T* const all = memory.template take<T>(n * columns).data();
  T* const beside = memory.template take<T>(columns * in.target.scratch_rows).data();
  for (std::size_t r = 0; r < n; ++r) in.ask_target(r, all + r * columns, beside);
  in.teacher = rows<const T>(all, n, columns);
  in.target = {};
}

/// Said by types: a rank without rows has no memory for them.
struct gradients_wanted {
  bool of_student, of_teacher;
};
/// The problem of all ranks' rows, in memory of one rank: inputs gathered by one message, outputs of which each takes its rows.
template <class T>
class joined_batch {
 public:
  problem<T> whole;

  joined_batch(const problem<T>& in, const batch_parts& parts, const communicator_ref& ranks, gradients_wanted wanted, scratch& memory)
      : whole(in), in_(in), parts_(parts), memory_(memory) {
    const batch_part& all = parts.alike();
    add_rows(in_.student, whole.student, all.size(batch_part::columns), all.type_of(batch_part::type));
    if (all.has(batch_part::teacher))
      add_rows(in_.teacher, whole.teacher, all.size(batch_part::teacher_columns), all.type_of(batch_part::teacher_type));
    if (all.has(batch_part::soft_labels))
      add_rows(in_.soft_labels, whole.soft_labels, all.size(batch_part::soft_columns), all.type_of(batch_part::soft_type));
    if (all.has(batch_part::labels)) add_numbers<std::int64_t>(in_.labels, whole.labels);
    if (all.has(batch_part::weights)) add_numbers<double>(in_.row_weights, whole.row_weights);
    if (all.has(batch_part::mask)) add_numbers<double>(in_.row_mask, whole.row_mask);
    if (all.has(batch_part::temperatures)) add_numbers<double>(in_.row_temperatures, whole.row_temperatures);
    gather(ranks);

    if (wanted.of_student) whole.gradient = output(in.gradient, whole.classes(), in.gradient_beyond, in.add);
    if (wanted.of_teacher) whole.teacher_gradient = output(in.teacher_gradient, whole.teacher.classes, 0, in.add_teacher);
    if (all.has(batch_part::losses)) whole.row_losses = memory.take<T>(parts.total()).data();
    if (all.has(batch_part::slopes)) whole.row_temperature_gradient = memory.take<T>(parts.total()).data();
  }

  /// This rank's rows of what the call has written.
  void give() const {
    give(whole.gradient, in_.gradient, in_.gradient_beyond);
    give(whole.teacher_gradient, in_.teacher_gradient, 0);
    give(whole.row_losses, in_.row_losses);
    give(whole.row_temperature_gradient, in_.row_temperature_gradient);
  }

 private:
  /// What travels of each row: numbers of a tensor as they are stored, or a number.
  struct section {
    std::size_t bytes;
    const stored_rows<const T>* tensor;
    const any_vector* numbers;
    bool integers;
    std::byte* all;
  };

  void add_rows(const stored_rows<const T>& own, stored_rows<const T>& to, std::size_t columns, element_type type) {
    const std::size_t bytes = columns * size_of(type);
    std::byte* const all = memory_.template take<std::byte>(parts_.total() * bytes).data();
    sections_[count_++] = {bytes, &own, nullptr, false, all};
    to = contiguous<const T>(all, columns, type);
  }
  template <class N>
  void add_numbers(const any_vector& own, any_vector& to) {
    N* const all = memory_.template take<N>(parts_.total()).data();
    sections_[count_++] = {sizeof(N), nullptr, &own, std::is_integral_v<N>, reinterpret_cast<std::byte*>(all)};
    to = any_vector(all, parts_.total()).given();
  }
  template <class E>
  stored_rows<E> contiguous(std::byte* all, std::size_t columns, element_type type) const {
    stored_rows<E> x;
    x.data = all, x.samples = parts_.total(), x.classes = columns, x.sample_stride = static_cast<std::ptrdiff_t>(columns), x.type = type;
    return x;
  }
  void pack(const section& s, std::byte* to) const {
    for (std::size_t r = 0; r < in_.samples(); ++r, to += s.bytes) {
      if (s.tensor) {
        copy_row(*s.tensor, r, to);
      } else if (s.integers) {
        const std::int64_t x = s.numbers->integer(r);
        std::memcpy(to, &x, sizeof x);
      } else {
        const double x = s.numbers->number(r);
        std::memcpy(to, &x, sizeof x);
      }
    }
  }
  /// Each rank's block has its first section, then its second, and so on; as long as the longest's.
  void gather(const communicator_ref& ranks) {
    std::size_t row = 0;
    for (std::size_t s = 0; s < count_; ++s) row += sections_[s].bytes;
    const std::size_t block = parts_.longest() * row;
    const std::span<std::byte> mine = memory_.template take<std::byte>(block);
    const std::span<std::byte> came = memory_.template take<std::byte>(block * parts_.ranks());
    std::byte* to = mine.data();
    for (std::size_t s = 0; s < count_; to += in_.samples() * sections_[s++].bytes) pack(sections_[s], to);
    std::fill(to, mine.data() + block, std::byte{});
    ranks.all_gather(mine, came);
    for (std::size_t k = 0; k < parts_.ranks(); ++k) {
      const std::byte* from = came.data() + k * block;
      for (std::size_t s = 0; s < count_; from += parts_.count_of(k) * sections_[s++].bytes)
        if (const std::size_t bytes = parts_.count_of(k) * sections_[s].bytes; bytes > 0)
          std::memcpy(sections_[s].all + parts_.first_of(k) * sections_[s].bytes, from, bytes);
    }
  }

  /// Memory for an output of all rows, of the type of this rank's; what stands in its rows comes along where it is added to.
  stored_rows<T> output(const stored_rows<T>& own, std::size_t columns, std::size_t beyond, bool add) {
    const std::size_t bytes = (columns + beyond) * size_of(own.type);
    const std::span<std::byte> all = memory_.template take<std::byte>(parts_.total() * bytes);
    std::fill(all.begin(), all.end(), std::byte{});
    stored_rows<T> x = contiguous<T>(all.data(), columns + beyond, own.type);
    x.classes = columns;
    for (std::size_t r = 0; add && r < in_.samples(); ++r) copy_row(own, r, all.data() + (parts_.first() + r) * bytes);
    return x;
  }
  void give(const stored_rows<T>& from, stored_rows<T> to, std::size_t beyond) const {
    if (!from.data || in_.samples() == 0) return;
    to.classes += beyond;
    for (std::size_t r = 0; r < in_.samples(); ++r) write_row(static_cast<const std::byte*>(from.at_row(parts_.first() + r)), to, r);
  }

  void give(const T* from, T* to) const {
    if (to) std::copy_n(from + parts_.first(), in_.samples(), to);
  }

  problem<T> in_;  // this rank's
  const batch_parts& parts_;
  scratch& memory_;
  std::array<section, 7> sections_;
  std::size_t count_ = 0;
};

/// Ranks in the middle of a call: what the calls inside of it are given.
class meeting_ranks {
 public:
  using limbeck_argument = void;
  using tag = batch_over_tag;
  explicit meeting_ranks(const communicator_ref& ranks) : ranks_(ranks) {}
  template <class T>
  void apply(problem<T>&) const {}

  /// run(the problem of all ranks' rows, workspace), of which this rank takes what is its own. Collective.
  template <class T, class Run>
  auto show(const problem<T>& in, gradients_wanted wanted, workspace& ws, const Run& run) {
    problem<T> alone = in;
    using Result = decltype(run(alone, ws));
    if (ranks_.size() == 1) return run(alone, ws);
    scratch memory(ws);
    write_out_target(alone, memory);  // which may throw, on this rank
    thrown_on_all_ = true;
    const batch_parts parts(ranks_, part_of(alone), {});
    joined_batch<T> joined(alone, parts, ranks_, wanted, memory);
    std::optional<Result> result;
    noted_fault fault = note_fault([&] {
      attempt<row_error>([&] { result.emplace(run(joined.whole, ws.beside())); },
                         [&](const row_error& e) { raise<value_error>(parts.as_owner(e.what())); });
    });
    agree_on(ranks_, fault.kind, std::move(fault.what));
    joined.give();
    thrown_on_all_ = false;
    return std::move(*result);
  }

 private:
  friend struct batch_over_argument;
  communicator_ref ranks_;
  bool thrown_on_all_ = false;  // what is thrown now; otherwise the others wait for this rank's part
};

struct batch_over_argument {
  using limbeck_argument = void;
  using limbeck_meets = void;
  using tag = batch_over_tag;
  communicator_ref ranks;

  /// f(what calls are given in the place of this), whose fault is thrown on all ranks wherever it has come from.
  template <class F>
  auto meet(const F& f) const {
    meeting_ranks met(ranks);
    if (ranks.size() == 1) return f(met);
    std::optional<decltype(f(met))> result;
    or_else([&] { result.emplace(f(met)); },
            [&] {
              if (met.thrown_on_all_) go_on();
              give_up();
            });
    return std::move(*result);
  }
  /// Where an exception is caught, and others wait for this rank's part: throws it on all.
  void give_up() const {
    if (ranks.size() == 1) go_on();
    noted_fault fault = note_fault([] { go_on(); });
    batch_part mine;
    mine.fault = fault.kind;
    (void)batch_parts(ranks, mine, std::move(fault.what));
  }
};

}  // namespace detail
/// @endcond

/// An argument of an objective's call: student, teacher, labels and all that is given one a row are this rank's part of a batch that
/// lies on all ranks, in their order. The call is then the one machine's on the whole of it: `objective(student, teacher, labels,
/// into(gradient), batch_over(world))` returns the loss of the whole on every rank, and writes to `gradient`, `into_teacher`,
/// `row_losses` what the one machine would have written to these rows, bit for bit, in any composition: losses of rows beside those
/// that relate samples, weights, masks, maps, signals, quantiles, names. Reductions are those of the whole: `mean` over the rows of
/// all ranks, `mean_over(total)` the same on each.
///
/// So the *sum* over ranks of the parameters' gradients is the one machine's. What losses hold themselves (learned parts, banks,
/// memories) sees all rows on each rank: it stays equal on all ranks, and its gradients are not to be reduced. What they hold one a
/// row (`given(v)`, the indices of `crd`) is of the whole batch: `all_gather_ragged` brings it there.
///
/// Ranks may bring different numbers of rows, also none. The gradients of a rank without rows are views of 0 rows. All ranks call the
/// same objective with the same arguments.
///
/// Each rank computes all of the loss. What travels is one message a call (one for each pair of named outputs) of the longest part's
/// rows to each rank, student and teacher as they are stored, 8 bytes for each label, weight, mask and temperature, and two short ones;
/// twice the whole batch and a gradient of it are held in the workspace.
/// @throws on all ranks what is wrong on one, with its rank and its own row; shape_error, value_error where parts are not alike (widths,
///   types, arguments, progress).
///
/// @p world outlives the call. Rows of the host; not `logits_of`.
template <class C>
auto batch_over(const C& world) {
  static_assert(communicator<C>, "limbeck: batch_over(world) takes a communicator: mpi, one_rank, or a class with rank, size, all_gather, "
                                 "all_to_all and broadcast");
  if constexpr (communicator<C>) return detail::batch_over_argument{communicator_ref(world)};
}

LIMBECK_END_NAMESPACE

#endif
