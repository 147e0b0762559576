#ifndef LIMBECK_ENGINE_SHARDED_SWEEP_HPP
#define LIMBECK_ENGINE_SHARDED_SWEEP_HPP

/// @file
/// The host sweep of rows of which each rank has some classes: the same steps, of many rows between two exchanges.
///
/// What one machine knows of a row after a step is a maximum or a sum over its classes. Here each step runs over all rows of a
/// block, and then the block's numbers are reduced over the ranks in one message: maxima, normalisers, residuals where a row is
/// close, signals where there are some, flows. What follows from them once a row, each rank computes for itself, with the same
/// bits.
///
/// After M. Shoeybi et al., "Megatron-LM: Training Multi-Billion Parameter Language Models Using Model Parallelism", 2019
/// (arXiv:1909.08053), whose cross entropy over a vocabulary in shards reduces three numbers a token.

#include <limbeck/engine/agreed_call.hpp>
#include <limbeck/engine/sweep.hpp>
#include <limbeck/ranks/digest.hpp>
#include <limbeck/ranks/reductions.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <class T, class Lanes, class Terms, class Mode, class Isa>
class sharded_sweep : host_sweep<T, Lanes, Terms, Mode, Isa> {
  using Base = host_sweep<T, Lanes, Terms, Mode, Isa>;
  using Plan = typename Base::Plan;
  using row_state = typename Base::row_state;
  using row_block = typename Base::row_block;
  static constexpr std::size_t NS = Base::NS, NM = Plan::maxima::size, L = Base::L, max_block = Base::max_block;
  static constexpr T infinity = Base::infinity;
  using Base::in_, Base::terms_, Base::block_, Base::padded_, Base::classes_, Base::values_, Base::temperatures_, Base::masked_bias_,
      Base::faults_;

  /// What travels of a row.
  static constexpr bool paired = Plan::pairs::size > 0;
  static constexpr std::size_t lowest_at = NM, label_at = lowest_at + (paired ? 2 : 0),
                               maxima_size = label_at + (Plan::labels ? 2 : 0);
  static constexpr bool reads_signals = Plan::weighs && !Plan::weighs_unread, sums_signals = reads_signals && Plan::signals_by_class;
  static constexpr bool has_peaks = [] {
    unsigned any = 0;
    for (const unsigned u : Plan::leaf_uses) any |= u & uses_second;
    return any != 0;
  }();
  static constexpr std::size_t mean_at = flow_sums<T, Plan, Mode>::size, infinite_at = mean_at + (Plan::template any<labelwise> ? 1 : 0),
                               student_at = infinite_at + (Base::compares ? 1 : 0), teacher_at = student_at + (Base::sees_student ? 0 : 1),
                               flows_size = teacher_at + (Base::sees_teacher ? 0 : 1);
  static constexpr std::size_t message_size = (std::max)({maxima_size, exponential_sums<T, Plan>::size, signal_sums<T, Plan>::size,
                                                          residual_sums<T, Plan>::size, flows_size});

  /// What is kept of a row between two steps.
  struct row_part {
    row_state* state;  // null where nothing is left to do
    T label_logits[at_least_one(NM)];
    signal_sums<T, Plan> signals;
    bool close;
  };

  const class_ranks<T>& over_;
  std::size_t rows_;  // between two exchanges
  row_block* blocks_ = nullptr;
  row_part* parts_ = nullptr;
  T* message_ = nullptr;
  workspace* reductions_ = nullptr;

 public:
  sharded_sweep(const problem<T>& in, const Terms& terms) : Base(in, terms), over_(*in.over) {
    constexpr std::size_t bytes = std::size_t{1} << 22;  // of exponentials
    const std::size_t row = (std::max<std::size_t>)(1, over_.most * at_least_one(NS) * sizeof(T));
    rows_ = over_.block_rows ? over_.block_rows : std::clamp<std::size_t>(bytes / row, max_block, 256);
    rows_ = (std::max<std::size_t>)(1, (std::min)(rows_, in.samples()));
    rows_ = (rows_ + max_block - 1) / max_block * max_block;
  }

  template <class Executor>
  evaluation run(workspace& ws, Executor& executor) {
    allocate(ws);
    if (!over_.opened) open_ranks(over_, as_shown());
    this->mask_classes();
    const std::size_t end = this->end_row();
    for (std::size_t first = in_.first_row; first < end; first += rows_) take(first, (std::min)(rows_, end - first), executor);
    for (std::size_t r = in_.first_row; r < end; ++r)
      if (in_.valid(r) && values_[r] != values_[r]) refuse_value(r);
    evaluation e;
    Isa::call([&]() LIMBECK_LAMBDA_INLINE { this->gather(e); });
    return e;
  }

 private:
  void allocate(workspace& ws) {
    const std::size_t blocks = (rows_ + block_ - 1) / block_, scratch = this->scratch_of_block();
    std::size_t bytes = 0;
    const auto reserve = [&](std::size_t n) {
      const std::size_t at = bytes;
      bytes += (n + 63) / 64 * 64;
      return at;
    };
    const std::size_t values = reserve(in_.samples() * (1 + Plan::learned) * sizeof(double)), bias = reserve(padded_ * sizeof(T)),
                      state = reserve(rows_ * sizeof(row_state)), block = reserve(blocks * sizeof(row_block)),
                      part = reserve(rows_ * sizeof(row_part)), message = reserve((rows_ * message_size + 1) * sizeof(T)),
                      memory = reserve(blocks * scratch * sizeof(T));
    std::byte* const at = ws.reserve(bytes);
    values_ = reinterpret_cast<double*>(at + values);
    temperatures_ = values_ + in_.samples();
    masked_bias_ = reinterpret_cast<T*>(at + bias);
    blocks_ = reinterpret_cast<row_block*>(at + block);
    parts_ = reinterpret_cast<row_part*>(at + part);
    message_ = reinterpret_cast<T*>(at + message);
    auto* const states = reinterpret_cast<row_state*>(at + state);
    for (std::size_t b = 0; b < blocks; ++b) {
      row_block* const x = std::construct_at(blocks_ + b);
      x->scratch = reinterpret_cast<T*>(at + memory) + b * scratch;
      x->state = states + b * block_;
    }
    reductions_ = &ws.beside();
    reductions_->reserve(2 * ((rows_ * message_size + 1) * sizeof(T) + 64) * static_cast<std::size_t>(over_.comm->size()));
  }

  call_of_ranks as_shown() const {
    std::uint64_t counted = 0, rows = 0, settings = digest_of_numbers(in_.progress), message = 0;
    for (std::size_t r = 0; r < in_.samples(); ++r) {
      if (!in_.valid(r)) continue;
      ++counted;
      rows = digest_of_numbers(rows, r, in_.label(r), in_.weight(r));
      for (const auto* x : {&in_.row_temperatures, &in_.teacher_row_temperatures})
        if (x->data()) rows = digest_of_numbers(rows, x->number(r));
    }
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms_[hana::size_c<decltype(k)::value>];
      settings = digest_of_numbers(settings, term.weight, term.student_t, term.teacher_t);
    });
    const std::size_t sizes[] = {Plan::size, maxima_size, exponential_sums<T, Plan>::size, signal_sums<T, Plan>::size,
                                 flows_size, sizeof(T)};
    for (const std::size_t x : sizes) message = digest_of_numbers(message, x);
    return {counted, in_.samples(), rows, settings, over_.block_rows, message, over_.sums_hidden, in_.normalizer};
  }

  // A step of rows [first, first + count): each(block) on the workers, then one message.

  template <class Executor, class Each>
  void each_block(std::size_t count, Executor& executor, const Each& each) {
    const std::size_t blocks = (count + block_ - 1) / block_;
    const std::size_t per_task = (std::max<std::size_t>)(1, (std::size_t{1} << 13) / (std::max<std::size_t>)(1, block_ * padded_));
    executor((blocks + per_task - 1) / per_task, [&](std::size_t task, std::size_t) {
      for (std::size_t b = task * per_task; b < (std::min)(blocks, (task + 1) * per_task); ++b)
        Isa::call([&]() LIMBECK_LAMBDA_INLINE { each(blocks_[b]); });
    });
  }
  /// each(row, its number in the block of rows, its state) for those of a block that are not done.
  template <class Each>
  LIMBECK_HOST_INLINE void each_row(row_block& b, std::size_t first, const Each& each) {
    for (std::size_t u = 0; u < b.used; ++u) {
      const std::size_t r = b.first + b.state[u].index;
      if (row_part& part = parts_[r - first]; part.state) each(r, part, b.state[u]);
    }
  }
  void clear_message(std::size_t n, T x) { std::fill_n(message_, n, x); }
  void sum_message(std::size_t n) { all_reduce_sum(*over_.comm, std::span<T>(message_, n), *reductions_); }
  void raise_message(std::size_t n) { all_reduce_max(*over_.comm, std::span<T>(message_, n), *reductions_); }

  /// sums(part) of all rows into the message.
  template <class Sums>
  void send(std::size_t count, const Sums& sums) {
    constexpr std::size_t n = std::remove_cvref_t<decltype(sums(parts_[0]))>::size;
    clear_message(count * n, T(0));
    for (std::size_t i = 0; i < count; ++i)
      if (parts_[i].state) std::copy_n(sums(parts_[i]).sum, n, message_ + i * n);
  }

  template <class Executor>
  void take(std::size_t first, std::size_t count, Executor& executor) {
    for (std::size_t i = 0; i < count; ++i) parts_[i].state = nullptr, parts_[i].close = false;
    clear_message(count * maxima_size, -infinity);
    each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { place(b, first, count); });
    // so far faults are the same on all ranks, and so are the rows that go on: how many a block loses behind one is its rank's own
    if (faults_.any()) drop_behind(first_fault::row_of(faults_.lowest()), first, count);
    if constexpr (NS > 0) {
      raise_message(count * maxima_size);
      each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { normalise(b, first); });
      send(count, [](const row_part& x) -> auto& { return x.state->sums; });
      sum_message(count * exponential_sums<T, Plan>::size);
    }
    each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { solve_rows(b, first); });
    if constexpr (paired) {
      if (std::any_of(parts_, parts_ + count, [](const row_part& x) { return x.close; })) {  // the same on all ranks
        clear_message(count * Plan::pairs::size, T(0));
        each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { look_closer(b, first); });
        sum_message(count * Plan::pairs::size);
        each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { correct_rows(b, first); });
      }
    }
    if constexpr (sums_signals) {
      constexpr std::size_t n = signal_sums<T, Plan>::size;
      each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { read_signals(b, first); });
      send(count, [](const row_part& x) -> auto& { return x.signals; });
      sum_message(count * n);
      if constexpr (has_peaks) {  // the sums are alike by now, and are their own maxima
        for (std::size_t i = 0; i < count; ++i)
          for_each_index<n>([&](auto k) {
            if (is_peak<signal_sums<T, Plan>, k>() && parts_[i].state) message_[i * n + k] = parts_[i].signals.sum[k];
          });
        raise_message(count * n);
      }
      for (std::size_t i = 0; i < count; ++i) std::copy_n(message_ + i * n, n, parts_[i].signals.sum);
    }
    clear_message(count * flows_size + 1, T(0));
    each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { sum_flows(b, first); });
    message_[count * flows_size] = T(faults_.any() ? 1 : 0);
    sum_message(count * flows_size + 1);
    if (message_[count * flows_size] > 0) refuse();
    each_block(count, executor, [&](row_block& b) LIMBECK_LAMBDA_INLINE { finish_rows(b, first); });
    if (faults_.any()) refuse();
  }

  void drop_behind(std::size_t r, std::size_t first, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
      if (first + i > r) parts_[i].state = nullptr;
  }

  /// Step 1.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void place(row_block& b, std::size_t first, std::size_t count) {
    const auto index = static_cast<std::size_t>(&b - blocks_);
    b.first = first + index * block_;
    b.count = (std::min)(block_, count - index * block_);
    b.used = 0;
    this->stage(b);
    this->place_rows(b, terms_);
    for (std::size_t u = 0; u < b.used; ++u) {
      row_state& row = b.state[u];
      const std::size_t r = b.first + row.index;
      row.masks = false;
      row.shows[0] = row.shows[1] = classes_ > 0;
      parts_[r - first].state = &row;
      if constexpr (NS > 0) {
        T* const out = message_ + (r - first) * maxima_size;
        this->mark_label(b, r, -infinity);
        this->take_maxima(row, r);
        this->mark_label(b, r, T(0));
        std::copy_n(row.numbers.maximum, NM, out);
        if constexpr (paired) out[lowest_at] = -row.lowest[0], out[lowest_at + 1] = -row.lowest[1];
        if constexpr (Plan::labels) {
          if (this->has_label(r)) {
            out[label_at] = row.main.student[this->label_or_0(r)];
            out[label_at + 1] = row.main.teacher[this->label_or_0(r)];
          }
        }
      }
    }
  }

  /// Step 2.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void normalise(row_block& b, std::size_t first) {
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      const T* const in = message_ + (r - first) * maxima_size;
      std::copy_n(in, NM, row.numbers.maximum);
      if constexpr (paired) set_origins(row.numbers, -in[lowest_at], -in[lowest_at + 1]);
      for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
        part.label_logits[Index] = T(masked_logit<T>);
        if constexpr (Plan::labels)
          part.label_logits[Index] = (std::max)(T(masked_logit<T>), in[label_at + (std::is_same_v<typename M::who, student_side> ? 0 : 1)]);
      });
      this->mark_label(b, r, -infinity);
      this->take_exponentials(row, r);
      this->mark_label(b, r, T(0));
    });
  }

  /// Step 3.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void solve_rows(row_block& b, std::size_t first) {
    T logs[max_block * at_least_one(logarithms<Plan>) + L];
    if constexpr (NS > 0) {
      each_row(b, first, [&](std::size_t r, row_part&, row_state& row) LIMBECK_LAMBDA_INLINE {
        constexpr std::size_t n = exponential_sums<T, Plan>::size;
        std::copy_n(message_ + (r - first) * n, n, row.sums.sum);
      });
      this->take_logarithms(b.state, b.used, logs);
    }
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      const auto give_up = [&](fault bad) {
        faults_.report(r, bad);
        part.state = nullptr;
      };
      if constexpr (NS > 0) {
        const auto u = static_cast<std::size_t>(&row - b.state);
        if (const fault bad = solve(row.numbers, row.sums, logs + u * logarithms<Plan>); bad != fault::none)
          return give_up(bad_number<Plan>(bad));
        if constexpr (paired) part.close = is_close(row.numbers, row.sums);
      }
      if (const fault bad = this->check_row(row); bad != fault::none) give_up(bad);
    });
  }
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void look_closer(row_block& b, std::size_t first) {
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      if (!part.close) return;
      residual_sums<T, Plan> sums;
      this->mark_label(b, r, -infinity);
      this->sum_residuals(row, sums);
      this->mark_label(b, r, T(0));
      std::copy_n(sums.sum, Plan::pairs::size, message_ + (r - first) * Plan::pairs::size);
    });
  }
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void correct_rows(row_block& b, std::size_t first) {
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      if (!part.close) return;
      residual_sums<T, Plan> sums;
      std::copy_n(message_ + (r - first) * Plan::pairs::size, Plan::pairs::size, sums.sum);
      correct(row.numbers, sums);
    });
  }

  /// Signals, after step 3.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void read_signals(row_block& b, std::size_t first) {
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      part.signals = {};
      this->mark_label(b, r, -infinity);
      this->sum_signals(row, terms_, part.signals);
      this->mark_label(b, r, T(0));
    });
  }

  /// Step 4.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void sum_flows(row_block& b, std::size_t first) {
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      const auto give_up = [&](fault bad) {
        faults_.report(r, bad);
        part.state = nullptr;
      };
      this->mark_label(b, r, -infinity);
      if constexpr (reads_signals) {
        if (const fault bad = this->weigh(row, terms_, part.signals, part.label_logits, r); bad != fault::none) return give_up(bad);
        if (this->silence(b, row, r)) {
          part.state = nullptr;
          return;
        }
      }
      flow_sums<T, Plan, Mode> sums{};
      if constexpr (Base::classwise) {
        if (const fault bad = this->take_flows(b, terms_, row, r, sums); bad != fault::none) return give_up(bad);
      }
      T* const out = message_ + (r - first) * flows_size;
      std::copy_n(sums.sum, mean_at, out);
      if constexpr (Plan::template any<labelwise>) out[mean_at] = this->wants_mean(terms_) ? this->mean_below(row) : T(0);
      if constexpr (Base::compares) out[infinite_at] = T(row.masks && this->infinite(terms_, row, r) ? 1 : 0);
      if constexpr (!Base::sees_student) out[student_at] = T(row.shows[0] ? 1 : 0);
      if constexpr (!Base::sees_teacher) out[teacher_at] = T(row.shows[1] ? 1 : 0);
      this->mark_label(b, r, T(0));
    });
  }

  /// Step 5.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void finish_rows(row_block& b, std::size_t first) {
    each_row(b, first, [&](std::size_t r, row_part& part, row_state& row) LIMBECK_LAMBDA_INLINE {
      const T* const in = message_ + (r - first) * flows_size;
      flow_sums<T, Plan, Mode> sums;
      std::copy_n(in, mean_at, sums.sum);
      fault bad = this->check_soft_labels(sums);
      if constexpr (!Base::sees_teacher) bad = in[teacher_at] > 0 ? bad : fault::teacher;
      if constexpr (!Base::sees_student) bad = in[student_at] > 0 ? bad : fault::student;
      if (bad != fault::none) return faults_.report(r, bad_number<Plan>(bad));
      T mean_of_student(0);
      if constexpr (Plan::template any<labelwise>) mean_of_student = in[mean_at];
      auto result = finish<Plan, Mode>(in_, row.numbers, terms_, sums, part.label_logits, mean_of_student);
      if constexpr (Base::compares) {
        if (in[infinite_at] > 0) result.value = infinity;
      }
      this->write_row(b, terms_, row, r, result);
    });
    this->write_rest(b);
  }

  /// Throws on all ranks what is wrong with the lowest row that has a fault; its column is found by who has it.
  [[noreturn, gnu::noinline]] void refuse() const {
    std::size_t lowest = faults_.lowest();
    for (const std::uint64_t x : all_gather(*over_.comm, std::uint64_t{lowest})) lowest = (std::min)(lowest, static_cast<std::size_t>(x));
    refuse(first_fault::code_of(lowest), first_fault::row_of(lowest));
  }
  [[noreturn]] void refuse(fault code, std::size_t r) const {
    fault_place mine = find_fault(in_, code, r);
    if (mine.has_column || code == fault::value) mine.column += in_.first_class;
    const std::vector<fault_place> all = all_gather(*over_.comm, mine);
    fault_place at = all[0];
    for (const fault_place& x : all) {
      if (code == fault::value) {
        if (x.value > at.value) at = x;
      } else if (x.has_column) {
        if (!at.has_column) at = x;
      } else if (!at.has_column && x.column != 0) {
        at = x;
      }
    }
    throw_fault(at, in_.classes_of_row(), in_.ignore_index);
  }
  /// A loss may know which number of a row it cannot take.
  [[noreturn, gnu::noinline]] void refuse_value(std::size_t r) const {
    agree(*over_.comm, [&] {
      for_each_index<Plan::size>([&](auto k) {
        const auto& loss = terms_[hana::size_c<decltype(k)::value>].loss;
        if constexpr (requires { loss.check_row(in_.student, in_.teacher, r); }) loss.check_row(in_.student, in_.teacher, r);
      });
    });
    refuse(fault::value, r);
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
