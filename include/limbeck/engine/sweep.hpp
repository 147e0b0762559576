#ifndef LIMBECK_ENGINE_SWEEP_HPP
#define LIMBECK_ENGINE_SWEEP_HPP

/// @file
/// The host sweep: rows of memory, in packs, over an executor.
///
/// Rows are taken in blocks that stay in cache: several short rows at once, so that their logarithms are taken in
/// packs and their horizontal sums overlap, or one long one. The exponentials of a block are kept in the workspace.
/// The last pack of a row is read from a copy padded with masked classes, so there is one loop body and no scalar
/// tail. What has no contiguous classes is staged, a block of rows at a time.

#include <limbeck/core/executor.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/engine/deviation.hpp>
#include <limbeck/engine/host_memory.hpp>
#include <limbeck/engine/row.hpp>
#include <limbeck/engine/signals.hpp>
#include <limbeck/engine/top_classes.hpp>

#include <algorithm>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

template <class T, class Lanes, class Terms, class Mode, class Isa>
class host_sweep {
 protected:
  using X = pack<Lanes>;
  using Plan = typename plan_of<Terms>::type;
  using position = host_position<Lanes>;
  static constexpr std::size_t L = static_cast<std::size_t>(X::lanes);
  static constexpr std::size_t max_block = 8;
  static constexpr std::size_t piece = 64 * L;  // classes between two merges of sums
  static constexpr std::size_t NS = Plan::softmaxes::size;
  static constexpr bool sees_student = Plan::template has_softmax<student_side>();
  static constexpr bool sees_teacher = !Plan::teacher || Plan::template has_softmax<teacher_side>();
  static constexpr T infinity = std::numeric_limits<T>::infinity();
  /// Whether these are some classes of each row, and ranks have the others.
  static constexpr bool over_ranks = is_over_ranks<Mode>;
  /// Whether any value is taken class by class; otherwise the gradient is coefficients times softmaxes alone.
  /// A temperature's gradient needs sums over classes too.
  static constexpr bool classwise = plan_has_classes<Mode, Plan>::value || flow_sums<T, Plan, Mode>::temperatures;

  /// Whether the teacher's rows are shown as a whole only, at their own width.
  static constexpr bool any_width = Plan::any_width;
  /// Whether a temperature is the deviation of a row's logits.
  static constexpr bool deviates = Plan::template deviates<student_side> || Plan::template deviates<teacher_side>;
  /// Whether rows of other types wait for the first step, which looks at every class anyway, where none has to look before.
  static constexpr bool waits = NS > 0 && !deviates && !any_width && Plan::top == 0;
  /// Whether a row without a softmax is looked at for numbers that are none while its classes are swept, and not before: where
  /// nothing but its value and gradient comes of it.
  static constexpr bool checks_late = NS == 0 && classwise && !any_width && (!Plan::weighs || Plan::weighs_unread) && !Plan::template any<rowwise>;
  /// Whether a target is read where its classes are swept, in parts, where it can be: nothing looks at its row before or after.
  static constexpr bool takes_parts = checks_late && !sees_teacher;
  /// Whether a class that one side alone masks can make the value infinite.
  static constexpr bool compares =
      Plan::pairs::size > 0 || Plan::template any<logitwise> || Plan::features || Mode::soft_labels;

  const problem<T>& in_;
  const Terms terms_;
  const std::size_t classes_, whole_, rest_, padded_;  // whole_ classes in full packs, rest_ in the last
  const std::size_t classes_of_row_;                    // as classes_, but over ranks
  const std::size_t teacher_classes_, teacher_padded_, widest_;  // as the student's, but for any_width
  const staging<T> staged_;
  row_numbers<T, Plan> batch_;  // what no row changes
  const rows_ahead inputs_, outputs_;
  std::size_t block_;
  alignas(64) T lanes_[2][L];         // all 1; 1 in the first rest_ lanes
  T* masked_bias_ = nullptr;
  double* values_ = nullptr;        // one a row
  double* temperatures_ = nullptr;  // learned, one a row each
  first_fault faults_;

 public:
  host_sweep(const problem<T>& in, const Terms& terms)
      : in_(in),
        terms_(terms),
        classes_(in.classes()),
        whole_(classes_ / L * L),
        rest_(classes_ - whole_),
        padded_((classes_ + L - 1) / L * L),
        classes_of_row_(in.classes_of_row()),
        teacher_classes_(any_width ? in.teacher_classes() : classes_),
        teacher_padded_((teacher_classes_ + L - 1) / L * L),
        widest_((std::max)(padded_, teacher_padded_)),
        staged_(in, L, Plan::template any<rowwise>, Plan::teacher),
        inputs_(in.student, in.teacher),
        outputs_(staged_.narrow ? in.gradient : stored_rows<T>{}) {
    block_ = staged_.transposed ? max_block
                        : std::clamp<std::size_t>(1024 / (std::max<std::size_t>)(classes_, 1), 1, max_block);
    if constexpr (!Plan::temperatures_by_row)
      Isa::call([&]() LIMBECK_LAMBDA_INLINE { (void)start_row<Plan>(in, terms, 1.0, 0, batch_); });
    for (std::size_t i = 0; i < L; ++i) lanes_[0][i] = T(1), lanes_[1][i] = T(i < rest_ ? 1 : 0);
  }

  template <class Executor>
  evaluation run(workspace& ws, Executor& executor) {
    const std::size_t samples = in_.samples();
    const std::size_t workers = (std::max<std::size_t>)(1, executor.workers());
    const std::size_t per_worker = scratch_of_block();
    const std::size_t doubles = (samples * (1 + Plan::learned) + 7) / 8 * 8;
    std::byte* memory = ws.reserve(doubles * sizeof(double) + (padded_ + per_worker * workers) * sizeof(T));
    values_ = reinterpret_cast<double*>(memory);
    temperatures_ = values_ + samples;
    T* const scratch = reinterpret_cast<T*>(memory + doubles * sizeof(double));
    masked_bias_ = scratch + per_worker * workers;
    mask_classes();
    // tasks of at least 8k elements, of whole blocks: the blocks are the same for any number of workers
    const std::size_t per_task =
        block_ * (std::max<std::size_t>)(1, (std::size_t{1} << 13) / (std::max<std::size_t>)(1, block_ * padded_));
    const std::size_t end = end_row();
    executor((end - in_.first_row + per_task - 1) / per_task, [&](std::size_t task, std::size_t worker) {
      const std::size_t from = in_.first_row + task * per_task, last = (std::min)(end, from + per_task);
      for (std::size_t r = from; r < last && !faults_.before(r); r += block_)
        Isa::call([&]() LIMBECK_LAMBDA_INLINE { block(r, (std::min)(last, r + block_) - r, scratch + worker * per_worker); });
    });
    faults_.throw_if_any(in_);
    evaluation e;
    Isa::call([&]() LIMBECK_LAMBDA_INLINE { gather(e); });
    return e;
  }

 protected:
  /// Exponentials and staged rows of a block, a bias row, rows for rowwise losses: so many of T.
  std::size_t scratch_of_block() const {
    const std::size_t n = block_ * widest_ * (NS + staged_.count() + (Plan::top > 0 ? 1 : 0)) + of_top() +
                          widest_ * (1 + (std::max)(Plan::rowwise_scratch, in_.target.scratch_rows));
    return (n + 31) / 16 * 16;
  }
  void mask_classes() const {
    if constexpr (Plan::template uses_domain<masked>) {
      for (std::size_t c = 0; c < padded_; ++c)
        masked_bias_[c] = c < classes_ && in_.class_mask.number(c) != 0 ? T(0) : -infinity;
    }
  }
  std::size_t end_row() const { return (std::min)(in_.samples(), in_.end_row); }

  /// A loss may know which number of a row it cannot take.
  [[noreturn, gnu::noinline]] void throw_bad_value(std::size_t r) const {
    for_each_index<Plan::size>([&](auto k) {
      const auto& loss = terms_[hana::size_c<decltype(k)::value>].loss;
      if constexpr (requires { loss.check_row(in_.student, in_.teacher, r); }) loss.check_row(in_.student, in_.teacher, r);
    });
    throw_fault(in_, fault::value, r);
  }
  /// The rows' values in order, so that threads change no bit.
  LIMBECK_HOST_INLINE void gather(evaluation& e) const {
    for (std::size_t r = in_.first_row; r < end_row(); ++r) {
      if (in_.row_losses) in_.row_losses[r] = static_cast<T>(values_[r]);
      if (!in_.valid(r)) continue;
      if (values_[r] != values_[r]) throw_bad_value(r);
      const double w = in_.weight(r);
      e.rows += 1;
      e.weight += w;
      e.loss += w * values_[r];
      for (std::size_t i = 0; i != Plan::learned; ++i) e.temperature_gradient[i] += temperatures_[r * Plan::learned + i];
    }
    e.loss *= in_.normalizer;
  }

  /// The next row that is read, of those behind @p r.
  LIMBECK_HOST_INLINE std::size_t next_row(std::size_t r) const {
    for (++r; r < end_row() && !in_.valid(r);) ++r;
    return r;
  }
  /// What a block keeps of a row between the steps.
  struct row_state {
    std::size_t index;  // in the block
    position main, tail;
    T* waiting[3];                   // where student, teacher and soft labels go in the first step, if they do
    const T* teacher;                // where it is read by whole rows
    row_numbers<T, Plan> numbers;
    exponential_sums<T, Plan> sums;
    bool waits;                      // whether any does
    alignas(64) std::byte reader[bytes_of_reader];  // of a target that is read in parts
    bool masks;                      // has a class at -inf
    bool shows[2];                   // over ranks, of student and teacher: whether one here is not
    T lowest[2];                     // over ranks: their lowest logits that are not masked
    row_deviations<T> deviations;    // where a temperature is one
    alignas(64) T tails[3][L];       // student, teacher, soft labels: the last pack, padded
    alignas(64) T gradient_tail[L];
  };

  /// body(position) for every pack of a row; one loop body for full packs and the padded one.
  template <class Body>
  LIMBECK_HOST_INLINE void each_pack(const row_state& row, Body&& body) const {
    for (int part = 0; part < 2; ++part) {
      const position& from = part ? row.tail : row.main;
      const std::size_t stop = part ? rest_ : whole_;
      for (std::size_t c = 0; c < stop; c += L) body(from.at(c));
    }
  }
  /// The same with sums that are merged every 64 packs: the rounding error of a long row grows with the number of
  /// merges, not with the number of classes.
  template <class Sums, bool Parts = false, class Body>
  LIMBECK_HOST_INLINE Sums sum_packs(const row_state& row, Body&& body) const {
    const auto clear = [](Sums& sums) LIMBECK_LAMBDA_INLINE {
      for_each_index<Sums::size>([&](auto k) LIMBECK_LAMBDA_INLINE { sums.sum[k] = X(T(0)); });
    };
    Sums total;
    clear(total);
    [[maybe_unused]] alignas(64) T near[Parts ? piece : 1];
    for (int part = 0; part < 2; ++part) {
      const position& from = part ? row.tail : row.main;
      const std::size_t stop = part ? rest_ : whole_;
      for (std::size_t c = 0; c < stop;) {
        Sums partial;
        clear(partial);
        const std::size_t pause = (std::min)(stop, c + piece);
        position first = from.at(c);
        if constexpr (Parts) {
          if (in_parts()) {
            in_.target.read(row.reader, (part ? whole_ : 0) + c, pause - c, near);
            if (part) std::fill(near + rest_, near + L, -infinity);
            first.teacher = near;
          }
        }
        for (; c < pause; c += L, first = first.at(L)) body(first, partial);
        for_each_index<Sums::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
          if constexpr (is_peak<Sums, k>()) {
            total.sum[k] = larger(total.sum[k], partial.sum[k]);
          } else if constexpr (Sums::template active<k>) {
            total.sum[k] += partial.sum[k];
          }
        });
      }
    }
    return total;
  }
  /// Whether this call's target is read so.
  bool in_parts() const { return takes_parts && in_.target.read; }
  /// The classes from @p first of a row that has waited, a piece or what is left of it.
  [[gnu::noinline]] void bring(const row_state& row, std::size_t r, std::size_t first) const {
    const std::size_t count = classes_ - first < piece + L ? classes_ - first : piece;
    const stored_rows<const T>* const all[] = {&in_.student, &in_.teacher, &in_.soft_labels};
    for (std::size_t k = 0; k < 3; ++k)
      if (row.waiting[k]) widen_row<Isa>(all[k]->type, all[k]->at_row(r), first, count, row.waiting[k] + first);
  }
  template <class From, class To>
  LIMBECK_HOST_INLINE static void reduce(const From& from, To& to) {
    for_each_index<From::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
      if constexpr (!From::template active<k>) {
        to.sum[k] = T(0);
      } else if constexpr (is_peak<From, k>()) {
        to.sum[k] = Lanes::highest(from.sum[k].v);
      } else {
        to.sum[k] = Lanes::sum(from.sum[k].v);
      }
    });
  }
  // A load that spans two recent stores waits for both: the tails of all rows of a block are written before any is read.

  /// rest_ elements, by halves of a pack: a handful of predictable branches instead of a call.
  LIMBECK_HOST_INLINE void copy_rest(const T* from, T* to) const {
    for_each_index<8>([&](auto k) LIMBECK_LAMBDA_INLINE {
      constexpr std::size_t n = L >> (k + 1);
      if constexpr (n > 0) {
        if (rest_ & n) {
          std::memcpy(to, from, n * sizeof(T));
          to += n;
          from += n;
        }
      }
    });
  }
  LIMBECK_HOST_INLINE const T* padded_tail(const T* row, T pad, T* buffer) const {
    Lanes::store(buffer, Lanes::broadcast(pad));
    copy_rest(row + whole_, buffer);
    return buffer;
  }
  LIMBECK_HOST_INLINE void write_tail(row_state& row) const {
    if (rest_ == 0 || staged_.gradient) return;
    copy_rest(row.gradient_tail, row.main.gradient + whole_);
  }

  /// Rows that go through the steps together, and where in a worker's scratch their parts are.
  struct row_block {
    std::size_t first, count;
    T* scratch;                                       // exponentials first
    T *student, *asked, *teacher, *soft, *gradient;   // staged, or null; asked: of a target
    T *ranks, *rest_bias, *row_scratch;
    std::size_t used = 0, looked_at = 0;              // rows that count; rows up to the first with a fault
    row_state* state;
  };

  /// The label's class is not part of the non-target domain: in its row, for the time of a step.
  LIMBECK_HOST_INLINE void mark_label(const row_block& b, std::size_t r, T bias) const {
    if constexpr (Plan::template uses_domain<non_target>) {
      if (has_label(r)) b.rest_bias[label_or_0(r)] = bias;
    }
  }

  /// Rows [first, first + count): steps 1 to 5.
  LIMBECK_FLATTEN LIMBECK_HOST_INLINE void block(std::size_t first, std::size_t count, T* const scratch) {
    const Terms terms = terms_;
    row_state state[max_block];
    row_block b;
    b.first = first, b.count = count, b.scratch = scratch, b.state = state;
    stage(b);
    place_rows(b, terms);

    if constexpr (NS > 0) {
      for (std::size_t u = 0; u < b.used; ++u) {
        row_state& row = b.state[u];
        const std::size_t r = first + row.index;
        mark_label(b, r, -infinity);
        take_maxima(row, r);
        take_exponentials(row, r);
        mark_label(b, r, T(0));
      }
    }
    T logs[max_block * at_least_one(logarithms<Plan>) + L];
    if constexpr (NS > 0) take_logarithms(b.state, b.used, logs);

    for (std::size_t u = 0; u < b.used; ++u) {
      row_state& row = b.state[u];
      const std::size_t r = first + row.index;
      mark_label(b, r, -infinity);
      if constexpr (NS > 0) {
        if (const fault bad = solve(row.numbers, row.sums, logs + u * logarithms<Plan>); bad != fault::none)
          return faults_.report(r, bad_number<Plan>(bad));
        if constexpr (Plan::pairs::size > 0) {
          if (is_close(row.numbers, row.sums)) Isa::call([&]() LIMBECK_LAMBDA_INLINE { take_residuals(row); });
        }
      } else {
        row.masks = false;
      }
      if (const fault bad = check_row(row); bad != fault::none) return faults_.report(r, bad);
      T label_logits[at_least_one(Plan::maxima::size)]{};
      read_label_logits(row, r, label_logits);
      if constexpr (Plan::weighs && !Plan::weighs_unread) {
        signal_sums<T, Plan> sums{};
        sum_signals(row, terms, sums);
        if (const fault bad = weigh(row, terms, sums, label_logits, r); bad != fault::none) return faults_.report(r, bad);
        if (silence(b, row, r)) continue;
      }
      flow_sums<T, Plan, Mode> sums{};
      if constexpr (classwise) {
        if (const fault bad = take_flows(b, terms, row, r, sums); bad != fault::none) return faults_.report(r, bad);
      }
      auto result = finish<Plan, Mode>(in_, row.numbers, terms, sums, label_logits,
                                       wants_mean(terms) ? mean_below(row) : T(0));
      if constexpr (compares) {
        if (row.masks && infinite(terms, row, r)) result.value = infinity;
      }
      write_row(b, terms, row, r, result);
      mark_label(b, r, T(0));
    }
    write_rest(b);
  }

  /// Where the parts of a block are; rows that do not wait are copied there.
  LIMBECK_HOST_INLINE void stage(row_block& b) const {
    T* next = b.scratch + block_ * padded_ * NS;
    const auto take = [&](bool wanted, const stored_rows<const T>& x, T pad, std::size_t padded) -> T* {
      if (!wanted) return nullptr;
      T* const out = next;
      next += block_ * padded;
      if (waits && staging<T>::can_wait(x, L)) return out;
      staging<T>::template copy_in<Isa>(x, b.first, b.count, padded, pad, out);
      return out;
    };
    b.student = take(staged_.student, in_.student, -infinity, padded_);
    b.asked = staged_.teacher && in_.target.fill ? next : nullptr;
    if (b.asked) next += block_ * teacher_padded_;
    b.teacher = b.asked ? b.asked : take(staged_.teacher, in_.teacher, -infinity, teacher_padded_);
    b.soft = take(staged_.soft, in_.soft_labels, T(0), padded_);
    b.gradient = staged_.gradient ? next : nullptr;
    if (staged_.gradient) next += block_ * padded_;
    b.ranks = next;
    if constexpr (Plan::top > 0) next += block_ * padded_ + of_top();
    b.rest_bias = next;
    b.row_scratch = next + widest_;
    if constexpr (Plan::template uses_domain<non_target>) std::fill_n(b.rest_bias, padded_, T(0));
  }

  /// Before step 1: the rows that count, with their weights, and where their numbers are.
  LIMBECK_HOST_INLINE void place_rows(row_block& b, const Terms& terms) {
    b.looked_at = b.count;
    for (std::size_t i = 0; i < b.count; ++i) {
      const std::size_t r = b.first + i;
      if (!in_.valid(r)) {
        skip(r, b.gradient ? b.gradient + i * padded_ : nullptr);
        continue;
      }
      if (in_.bad_label(r)) {
        faults_.report(r, fault::label);
        b.looked_at = i;
        break;  // the rows before may hold a fault, too, and the lowest is reported
      }
      row_state& row = b.state[b.used];
      if constexpr (Plan::temperatures_by_row) {
        if (!start_row<Plan>(in_, terms, in_.weight(r), r, row.numbers)) {
          faults_.report(r, fault::row_temperature);
          b.looked_at = i;
          break;
        }
      } else {
        row.numbers = batch_;
        if (in_.row_weights.data()) weigh_row(row.numbers, static_cast<T>(in_.weight(r)));
      }
      if (in_.labels.data() && !in_.labelled(r)) mute_labelled_terms<Plan>(row.numbers);
      if constexpr (Plan::weighs_unread) {
        if (const fault bad = weigh_unread(row.numbers, terms, classes_of_row_, in_.row_of_call(r), in_.row_signals ? in_.row_signals + r : nullptr);
            bad != fault::none) {
          faults_.report(r, bad);
          b.looked_at = i;
          break;
        }
        if (is_silent(row.numbers)) {
          skip(r, b.gradient ? b.gradient + i * padded_ : nullptr);
          continue;
        }
      }
      row.index = i;
      row.waits = false;
      const auto place = [&](int k, T* staged_rows, const stored_rows<const T>& x, T pad, const T*& main_at,
                             const T*& tail_at) LIMBECK_LAMBDA_INLINE {
        T* const tail = row.tails[k];
        row.waiting[k] = nullptr;
        if (waits && staged_rows && staging<T>::can_wait(x, L)) {
          row.waits = true;
          row.waiting[k] = staged_rows + i * padded_;
          std::fill(row.waiting[k] + classes_, row.waiting[k] + padded_, pad);
        }
        main_at = staged_rows ? staged_rows + i * padded_ : x.row(r);
        tail_at = staged_rows ? main_at + whole_ : rest_ ? padded_tail(main_at, pad, tail) : tail;
      };
      row.waiting[1] = row.waiting[2] = nullptr;
      place(0, b.student, in_.student, -infinity, row.main.student, row.tail.student);
      // what is not given is never read, but its pointer moves with the others
      row.main.teacher = row.main.soft = row.main.student;
      row.tail.teacher = row.tail.soft = row.tail.student;
      row.main.gradient = row.tail.gradient = row.gradient_tail;
      if (b.asked && in_parts()) {
        in_.target.open(in_.target.object, in_.row_of_target(r, b.asked + i * teacher_padded_, b.row_scratch), row.reader);
      } else if (b.asked) {
        ask_target(r, b.asked + i * teacher_padded_, b.row_scratch);
      }
      if constexpr (any_width) {
        row.teacher = b.teacher ? b.teacher + i * teacher_padded_ : in_.teacher.row(r);
      } else if constexpr (Plan::teacher) {
        place(1, b.teacher, in_.teacher, -infinity, row.main.teacher, row.tail.teacher);
        if constexpr (Plan::template any<rowwise> || !sees_teacher) row.teacher = row.main.teacher;
      }
      if constexpr (Mode::soft_labels) place(2, b.soft, in_.soft_labels, T(0), row.main.soft, row.tail.soft);
      row.main.masked_bias = masked_bias_;
      row.main.rest_bias = b.rest_bias;
      row.main.ranks = row.main.student;
      if constexpr (Plan::top > 0) {
        row.main.ranks = b.ranks + b.used * padded_;
        Isa::call([&]() LIMBECK_LAMBDA_INLINE { rank(row, b.ranks + b.used * padded_, b.ranks + block_ * padded_); });
      }
      row.main.exponentials = b.scratch + b.used * NS * padded_;
      row.main.inside_lanes = lanes_[0];
      row.tail.masked_bias = masked_bias_ + whole_;
      row.tail.rest_bias = b.rest_bias + whole_;
      row.tail.ranks = row.main.ranks + whole_;
      row.tail.exponentials = row.main.exponentials + whole_;
      row.tail.inside_lanes = lanes_[1];
      row.main.class_count = row.tail.class_count = classes_of_row_;
      if constexpr (Mode::gradient) {
        row.main.gradient = b.gradient ? b.gradient + i * padded_ : in_.gradient.row(r);
        row.tail.gradient = b.gradient ? row.main.gradient + whole_ : row.gradient_tail;
      }
      if constexpr (deviates) Isa::call([&]() LIMBECK_LAMBDA_INLINE { take_deviations(row); });
      ++b.used;
    }
  }

  /// Step 2.
  LIMBECK_HOST_INLINE void take_exponentials(row_state& row, std::size_t r) const {
    const auto after = inputs_.row(next_row(r));
    const auto n = row.numbers.template broadcast<X>();
    reduce(sum_packs<exponential_sums<X, Plan>>(row,
                                                [&](const position& at, auto& partial) LIMBECK_LAMBDA_INLINE {
                                                  X e[at_least_one(NS)];
                                                  exponentials(n, at, e, partial);
                                                  after.prefetch(classes_before(row, at));
                                                  for_each_index<NS>([&](auto k) LIMBECK_LAMBDA_INLINE {
                                                    Lanes::store(at.exponentials + k * padded_, e[k].v);
                                                  });
                                                }),
           row.sums);
  }

  /// What step 3 has not found of a row's numbers.
  LIMBECK_HOST_INLINE fault check_row(row_state& row) const {
    if constexpr ((!sees_student || !sees_teacher) && !checks_late) {
      if (const fault bad = check_logits(row); bad != fault::none) return bad_number<Plan>(bad);
    }
    if constexpr (Plan::features) {
      if (row.masks) return masked_feature(row);
    }
    return fault::none;
  }

  /// The logits at the label, one a maximum.
  LIMBECK_HOST_INLINE void read_label_logits(const row_state& row, std::size_t r, T* label_logits) const {
    for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
      const T* const x = std::is_same_v<typename M::who, student_side> ? row.main.student : row.main.teacher;
      label_logits[Index] = (std::max)(T(masked_logit<T>), x[label_or_0(r)]);  // a copy: nvcc has no reference to it
    });
  }

  /// Whether signals leave a row nothing: then it has its zeros.
  LIMBECK_HOST_INLINE bool silence(row_block& b, row_state& row, std::size_t r) {
    if constexpr (!Mode::soft_labels) {  // those are checked with the flows
      if (is_silent(row.numbers)) {
        skip(r, b.gradient ? b.gradient + row.index * padded_ : nullptr);
        std::fill_n(row.gradient_tail, L, T(0));
        mark_label(b, r, T(0));
        return true;
      }
    }
    return false;
  }

  /// Step 4.
  LIMBECK_HOST_INLINE fault take_flows(const row_block& b, const Terms& terms, row_state& row, std::size_t r,
                                       flow_sums<T, Plan, Mode>& sums) const {
    [[maybe_unused]] const auto out = outputs_.row(r);
    [[maybe_unused]] X outside(T(0));
    const auto n = row.numbers.template broadcast<X>();
    reduce(sum_packs<flow_sums<X, Plan, Mode>, takes_parts>(
               row,
               [&](const position& at, auto& partial) LIMBECK_LAMBDA_INLINE {
                 X e[at_least_one(NS)];
                 load_exponentials(at, e);
                 if constexpr (checks_late) {
                   outside += outside_of(at.student);
                   ask_memory(at.student + elements_ahead);
                   if constexpr (Mode::gradient) ask_memory<true>(at.gradient + elements_ahead);
                   if constexpr (!sees_teacher) outside += outside_of(at.teacher);
                 }
                 const X flow = flows<Plan, Mode>(n, terms, at, e, partial);
                 if constexpr (Mode::gradient) {
                   out.prefetch(classes_before(row, at));
                   Lanes::store(at.gradient, flow.v);
                 }
               }),
           sums);
    if constexpr (checks_late) {
      const std::size_t padding = rest_ ? (L - rest_) * (sees_teacher ? 1 : 2) : 0;  // it is -inf
      if (Lanes::sum(outside.v) != static_cast<T>(padding) || classes_ == 0) {
        if (b.asked && in_parts()) ask_target(r, b.asked + row.index * teacher_padded_, b.row_scratch);
        if (const fault bad = check_logits(row); bad != fault::none) return bad_number<Plan>(bad);
        if (Plan::features && row.masks) return masked_feature(row);
      }
    }
    if constexpr (!over_ranks) return check_soft_labels(sums);
    return fault::none;
  }
  LIMBECK_HOST_INLINE static fault check_soft_labels([[maybe_unused]] flow_sums<T, Plan, Mode>& sums) {
    if constexpr (Mode::soft_labels) {
      if (!(sums.soft_low() >= 0 && sums.soft_sum() < infinity)) return fault::soft_labels;
    }
    return fault::none;
  }

  /// What step 5 has found.
  LIMBECK_HOST_INLINE void write_row(const row_block& b, const Terms& terms, row_state& row, std::size_t r,
                                     row_finish<T, Plan>& result) {
    values_[r] = static_cast<double>(result.value);
    if constexpr (Mode::gradient) {
      write_gradient(row, result, r);
      write_temperatures(result, r);
    }
    if constexpr (Plan::template any<rowwise>) {
      if constexpr (Mode::gradient) write_tail(row);
      Isa::call([&]() LIMBECK_LAMBDA_INLINE { whole_rows(terms, row, r, b.row_scratch); });
    }
  }
  /// What is not where it belongs when all rows of a block have been written.
  LIMBECK_HOST_INLINE void write_rest(row_block& b) const {
    if constexpr (Mode::gradient) {
      if constexpr (!Plan::template any<rowwise>)
        for (std::size_t u = 0; u < b.used; ++u) write_tail(b.state[u]);
      if (b.gradient && !staged_.narrow) staged_.template copy_out<Isa>(b.gradient, padded_, b.first, b.looked_at, in_.gradient);
    }
  }

  LIMBECK_HOST_INLINE static std::size_t classes_before(const row_state& row, const position& at) {
    return static_cast<std::size_t>(at.exponentials - row.main.exponentials);
  }
  /// The label's place in the row; of another rank's it is none of these.
  LIMBECK_HOST_INLINE std::size_t label_or_0(std::size_t r) const {
    const std::int64_t y = in_.label(r);
    const auto at = static_cast<std::size_t>(y < 0 ? 0 : y);
    return over_ranks ? at - in_.first_class : at;
  }
  LIMBECK_HOST_INLINE bool has_label(std::size_t r) const { return !over_ranks || label_or_0(r) < classes_; }

  /// The target's row, padded with masked classes.
  [[gnu::noinline]] void ask_target(std::size_t r, T* out, T* memory) const {
    in_.ask_target(r, out, memory);
    std::fill(out + teacher_classes_, out + teacher_padded_, -infinity);
  }

  /// A row that does not count, or to which no term adds: its zeros.
  [[gnu::noinline]] void skip(std::size_t r, T* staged_gradient) {
    values_[r] = 0;
    for (std::size_t k = 0; k != Plan::learned; ++k) temperatures_[r * Plan::learned + k] = 0;
    if (in_.row_temperature_gradient) in_.row_temperature_gradient[r] = 0;
    if constexpr (Mode::gradient) {
      std::fill_n(staged_gradient ? staged_gradient : in_.gradient.row(r), classes_, T(0));
      if (staged_.narrow) staged_.template put_row<Isa>(staged_gradient, 0, classes_, in_.gradient, r);
    }
  }

  /// Before step 1, where a temperature is the deviation of the row's logits.
  LIMBECK_HOST_INLINE void take_deviations(row_state& row) const {
    const auto of = [&]<class Who>() LIMBECK_LAMBDA_INLINE {
      const auto pass = [&](T origin) LIMBECK_LAMBDA_INLINE {
        deviation_sums<T> sums;
        reduce(sum_packs<deviation_sums<X>>(row,
                                            [&](const position& at, auto& partial) LIMBECK_LAMBDA_INLINE {
                                              add_deviation(at.template raw_logit<Who, all>(), X(origin), partial);
                                            }),
               sums);
        return sums;
      };
      return deviation_from(pass);
    };
    row.deviations = {};
    if constexpr (Plan::template deviates<student_side>) row.deviations.student = of.template operator()<student_side>();
    if constexpr (Plan::template deviates<teacher_side>) row.deviations.teacher = of.template operator()<teacher_side>();
    standardize<Plan>(row.numbers, row.deviations);
  }

  /// What ranking a row needs, of T.
  std::size_t of_top() const { return (std::min)(Plan::top, classes_) * (sizeof(placed<T>) / sizeof(T)); }
  /// Before step 1, where a domain is the top of the teacher.
  LIMBECK_HOST_INLINE void rank(const row_state& row, T* ranks, T* memory) const {
    std::fill(ranks + whole_, ranks + padded_, infinity);
    auto* const best = reinterpret_cast<placed<T>*>(memory);
    rank_classes<Lanes>(row.main.teacher, classes_, (std::min)(Plan::top, classes_), masked_logit<T>, best, ranks);
  }

  /// Step 1.
  LIMBECK_HOST_INLINE void take_maxima(row_state& row, std::size_t r) const {
    constexpr std::size_t NM = Plan::maxima::size;
    X high[NM], low[2] = {X(infinity), X(infinity)};  // student, teacher
    for_each_index<NM>([&](auto m) LIMBECK_LAMBDA_INLINE { high[m] = X(masked_logit<T>); });
    const auto raise = [&](const position& at) LIMBECK_LAMBDA_INLINE {
      for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
        high[Index] = larger(high[Index], at.template raw_logit<typename M::who, typename M::domain>());
      });
    };
    [[maybe_unused]] const auto lower = [&](const X& s, const X& t) LIMBECK_LAMBDA_INLINE {
      low[0] = smaller(s, low[0]), low[1] = smaller(t, low[1]);
    };
    for (std::size_t c = 0; c < whole_; c += L) {
      if (row.waits && c % piece == 0) bring(row, r, c);
      raise(row.main.at(c));
      if constexpr (compares) lower(X::from(Lanes::load(row.main.student + c)), X::from(Lanes::load(row.main.teacher + c)));
    }
    if (rest_) {
      raise(row.tail);
      [[maybe_unused]] const auto inside = [&](const T* x) LIMBECK_LAMBDA_INLINE { return row.tail.inside(X::from(Lanes::load(x))); };
      if constexpr (compares) lower(inside(row.tail.student), inside(row.tail.teacher));  // padding is NaN: passed over
    }
    for_each_index<NM>([&](auto m) LIMBECK_LAMBDA_INLINE { row.numbers.maximum[m] = Lanes::highest(high[m].v); });
    if constexpr (compares) {
      T lowest[2] = {Lanes::lowest(low[0].v), Lanes::lowest(low[1].v)};
      row.masks = !(lowest[0] > masked_logit<T> && lowest[1] > masked_logit<T>);
      if (row.masks) Isa::call([&]() LIMBECK_LAMBDA_INLINE { find_lowest(row, lowest); });
      if constexpr (over_ranks) {
        row.lowest[0] = lowest[0], row.lowest[1] = lowest[1];
      } else {
        set_origins(row.numbers, lowest[0], lowest[1]);
      }
    }
  }
  /// The lowest unmasked logits of student and teacher.
  LIMBECK_HOST_INLINE void find_lowest(const row_state& row, T* lowest) const {
    X low[2] = {X(infinity), X(infinity)};
    each_pack(row, [&](const position& at) LIMBECK_LAMBDA_INLINE {
      const X x[2] = {X::from(Lanes::load(at.student)), X::from(Lanes::load(at.teacher))}, masked(masked_logit<T>);
      for (int i = 0; i < 2; ++i) low[i] = smaller(select(masked < x[i], x[i], X(infinity)), low[i]);
    });
    for (int i = 0; i < 2; ++i) lowest[i] = Lanes::lowest(low[i].v);
  }

  /// Between steps 3 and 4, where student and teacher are close.
  LIMBECK_HOST_INLINE void take_residuals(row_state& row) const {
    residual_sums<T, Plan> sums;
    sum_residuals(row, sums);
    correct(row.numbers, sums);
  }
  LIMBECK_HOST_INLINE void sum_residuals(row_state& row, residual_sums<T, Plan>& sums) const {
    const auto n = row.numbers.template broadcast<X>();
    reduce(sum_packs<residual_sums<X, Plan>>(row,
                                             [&](const position& at, auto& partial) LIMBECK_LAMBDA_INLINE {
                                               X e[at_least_one(NS)];
                                               load_exponentials(at, e);
                                               residuals(n, at, e, partial);
                                             }),
           sums);
  }

  LIMBECK_HOST_INLINE void load_exponentials(const position& at, X* e) const {
    for_each_index<NS>([&](auto k) LIMBECK_LAMBDA_INLINE {
      e[k] = X::from(Lanes::load(at.exponentials + k * padded_));
    });
  }

  /// What the signals of a row need of its classes.
  LIMBECK_HOST_INLINE void sum_signals(row_state& row, const Terms& terms, signal_sums<T, Plan>& sums) const {
    if constexpr (Plan::signals_by_class) {
      const auto n = row.numbers.template broadcast<X>();
      reduce(sum_packs<signal_sums<X, Plan>>(row,
                                             [&](const position& at, auto& partial) LIMBECK_LAMBDA_INLINE {
                                               X e[at_least_one(NS)];
                                               load_exponentials(at, e);
                                               signals_at(n, terms, at, e, partial);
                                             }),
             sums);
    }
  }
  /// The signals of a row, multiplied into the weights of their terms.
  LIMBECK_HOST_INLINE fault weigh(row_state& row, const Terms& terms, signal_sums<T, Plan>& sums, const T* label_logits,
                                  std::size_t r) const {
    const fault bad = weigh_by_signals<Plan>(row.numbers, sums, terms, label_logits, classes_of_row_, in_.row_of_call(r),
                                             in_.row_signals ? in_.row_signals + r : nullptr);
    if constexpr (Plan::settings > 0) {
      if (bad == fault::none && !settings_fit(row.numbers, terms)) return fault::setting;
    }
    return bad;
  }

  /// The logarithms of all rows of a block, in packs.
  LIMBECK_HOST_INLINE static void take_logarithms(const row_state* state, std::size_t used, T* logs) {
    const std::size_t total = used * logarithms<Plan>;
    for (std::size_t u = 0; u < used; ++u) ask_logarithms(state[u].sums, logs + u * logarithms<Plan>);
    std::fill(logs + total, logs + (total + L - 1) / L * L, T(1));
    for (std::size_t k = 0; k < total; k += L) Lanes::store(logs + k, log_positive(X::from(Lanes::load(logs + k))).v);
  }

  LIMBECK_HOST_INLINE void write_gradient(row_state& row, row_finish<T, Plan>& result, std::size_t r) const {
    X coefficient[at_least_one(NS)];
    for_each_index<NS>([&](auto k) LIMBECK_LAMBDA_INLINE {
      coefficient[k] = X(result.coefficient[k] * row.numbers.inverse_z[k]);
    });
    const X uniform(result.uniform);
    [[maybe_unused]] X slope, mean;  // of the deviation that is a temperature
    if constexpr (Plan::template deviates<student_side>) {
      slope = X(deviation_slope<Plan>(row.numbers, row.deviations.student, result));
      mean = X(row.deviations.student.mean);
    }
    const auto gradient = [&](const position& at) LIMBECK_LAMBDA_INLINE {
      X g = uniform;
      if constexpr (classwise) g += X::from(Lanes::load(at.gradient));
      for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t Index>() LIMBECK_LAMBDA_INLINE {
        if constexpr (std::is_same_v<typename K::who, student_side>)
          g += coefficient[Index] * X::from(Lanes::load(at.exponentials + Index * padded_));
      });
      if constexpr (Plan::template deviates<student_side>) {
        const X s = at.template raw_logit<student_side, all>();
        g += select(X(masked_logit<T>) < s, slope * (s - mean), X(T(0)));
      }
      return g;
    };
    // a row without softmaxes has its gradient by now
    const bool stands = NS == 0 && classwise && !deviates && result.uniform == 0 && result.label == 0 && result.value < infinity;
    if (staged_.narrow) {
      Isa::call([&]() LIMBECK_LAMBDA_INLINE { write_narrow(row, result, r, gradient); });
    } else if (!stands) {
      each_pack(row, [&](const position& at) LIMBECK_LAMBDA_INLINE { Lanes::store(at.gradient, gradient(at).v); });
      if (result.label != 0 && has_label(r)) {
        const std::size_t y = label_or_0(r);
        *(y < whole_ ? row.main.gradient + y : row.tail.gradient + (y - whole_)) += result.label;
      }
      if (!(result.value < infinity)) {
        hold(row.main.gradient, whole_);
        hold(row.tail.gradient, rest_);
      }
    }
    if (!(result.value < infinity)) hold(result.temperature_gradient, at_least_one(Plan::slot_keys::size));
  }
  /// The same where memory holds another type; what is rounded a moment later stays in the first cache.
  template <class Gradient>
  LIMBECK_HOST_INLINE void write_narrow(const row_state& row, const row_finish<T, Plan>& result, std::size_t r,
                                   const Gradient& gradient) const {
    alignas(64) T near[piece];
    const std::size_t y = label_or_0(r);
    for (std::size_t first = 0; first < padded_; first += piece) {  // the tail is where the staged row goes on
      constexpr std::size_t at_most = piece;  // nvcc has no reference to a member
      const std::size_t stop = (std::min)(at_most, padded_ - first), count = (std::min)(at_most, classes_ - first);
      for (std::size_t c = 0; c < stop; c += L)  // the student may be the caller's, which ends with the last class
        Lanes::store(near + c, gradient(first + c < whole_ ? row.main.at(first + c) : row.tail).v);
      if (result.label != 0 && y - first < count) near[y - first] += result.label;
      if (!(result.value < infinity)) {
        hold(near, count);
        const auto most = static_cast<T>((std::min)(largest_of(in_.gradient.type), static_cast<double>((std::numeric_limits<T>::max)())));
        for (std::size_t c = 0; c < count; ++c) near[c] = std::clamp(near[c], -most, most);
      }
      staged_.template put_row<Isa>(near, first, count, in_.gradient, r);
    }
  }

  void write_temperatures(const row_finish<T, Plan>& result, std::size_t r) {
    [[maybe_unused]] std::size_t learned = 0;
    for_each_key(typename Plan::slot_keys{}, [&]<class S, std::size_t Index>() {
      if constexpr (is_learned<S>)
        temperatures_[r * Plan::learned + learned++] = static_cast<double>(result.temperature_gradient[Index]);
      if constexpr (Mode::row_temperature_gradient && std::is_same_v<S, row_slot>)
        in_.row_temperature_gradient[r] = result.temperature_gradient[Index];
    });
    (void)result;
    (void)r;
  }

  /// The rowwise losses of one row.
  LIMBECK_HOST_INLINE void whole_rows(const Terms& terms, row_state& state, std::size_t r, T* row_scratch) {
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms[hana::size_c<k>];
      using Term = std::remove_cvref_t<decltype(term)>;
      using Loss = typename Term::loss_type;
      if constexpr (is<Loss, rowwise>) {
        const auto temperature = [&]<class Slot>() {
          return T(1) / state.numbers.inverse_t[Plan::slot_keys::template index<Slot>()];
        };
        row<T> x{};
        x.student = {state.main.student, classes_};
        x.student_temperature = temperature.template operator()<typename Term::student_slot>();
        if constexpr (needs_teacher<Loss>()) {
          x.teacher = {state.teacher, teacher_classes_};
          x.teacher_temperature = temperature.template operator()<typename Term::teacher_slot>();
        }
        x.index = in_.row_of_call(r);
        x.label = in_.label(r);
        x.scratch = {row_scratch, widest_ * scratch_rows<Loss>()};
        if constexpr (Mode::gradient) x.gradient = {state.main.gradient, classes_};
        const double weight = static_cast<double>(state.numbers.value_weight[k]);
        if (weight == 0) return;
        x.scale = static_cast<T>(weight * in_.weight(r) * in_.normalizer);
        values_[r] += weight * static_cast<double>(loss_of<Plan, k>(term, state.numbers)(x));
      }
    });
  }

  static bool wants_mean(const Terms& terms) {
    bool any = false;
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms[hana::size_c<k>];
      using Loss = typename std::remove_cvref_t<decltype(term)>::loss_type;
      if constexpr (requires(const Loss& l) { l.wants_mean(); }) any = any || has_settings<decltype(term)> || term.loss.wants_mean();
    });
    return any;
  }
  /// The mean of the student's logits, less their maximum.
  [[gnu::noinline]] T mean_below(const row_state& row) const {
    double total = 0, highest = 0;
    for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t Index>() {
      if constexpr (std::is_same_v<M, maximum_key<student_side, all>>) highest = static_cast<double>(row.numbers.maximum[Index]);
    });
    for (std::size_t c = 0; c < classes_; ++c) total += static_cast<double>(row.main.student[c]) - highest;
    return static_cast<T>(total / static_cast<double>(classes_of_row_));
  }

  /// The gradients of a row of infinite loss.
  [[gnu::noinline]] static void hold(T* g, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) g[i] = held(g[i]);
  }

  /// A row with masked classes: is one of its sums over classes infinite?
  [[gnu::noinline]] bool infinite(const Terms& terms, const row_state& state, std::size_t r) const {
    const position& row = state.main;
    bool result = false;
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms[hana::size_c<k>];
      using Term = std::remove_cvref_t<decltype(term)>;
      using Loss = typename Term::loss_type;
      if constexpr ((is<Loss, pointwise> || is<Loss, logitwise>) && needs_teacher<Loss>()) {
        const T *es = nullptr, *et = nullptr;  // of a class without probability the other side may say what it likes
        if constexpr (is<Loss, pointwise>) {
          using P = pair_key<typename Term::student_slot, typename Term::teacher_slot,
                             typename top_in<typename Term::domain>::softmax_domain>;
          es = row.exponentials + Plan::softmaxes::template index<typename P::student>() * padded_;
          et = row.exponentials + Plan::softmaxes::template index<typename P::teacher>() * padded_;
        }
        bool student_masked = false, teacher_masked = false;
        for (std::size_t c = 0; c < classes_; ++c) {
          if (std::is_same_v<typename Term::domain, non_target> && c == label_or_0(r)) continue;
          if (std::is_same_v<typename Term::domain, masked> && masked_bias_[c] != 0) continue;
          constexpr std::size_t top = top_in<typename Term::domain>::size;
          if (top > 0 && !(row.ranks[c] < static_cast<T>(top))) continue;
          const bool no_student = row.student[c] <= masked_logit<T>, no_teacher = row.teacher[c] <= masked_logit<T>;
          student_masked = student_masked || (no_student && !no_teacher && (!et || et[c] > 0));
          teacher_masked = teacher_masked || (no_teacher && !no_student && (!es || es[c] > 0));
        }
        const auto& loss = loss_of<Plan, k>(term, state.numbers);
        result = result || (state.numbers.value_weight[k] != 0 && ((student_masked && diverges<T>(loss, true)) ||
                                                 (teacher_masked && diverges<T>(loss, false))));
      } else if constexpr (is<Loss, labelwise> && per_class<Mode, Loss>) {
        for (std::size_t c = 0; c < classes_; ++c)
          result = result || (state.numbers.value_weight[k] != 0 && row.student[c] <= masked_logit<T> &&
                              soft_target_of(loss_of<Plan, k>(term, state.numbers), row.soft[c], classes_of_row_) > 0);
      }
    });
    return result;
  }

  /// Whose feature is -inf, in a row that has one.
  [[gnu::noinline]] fault masked_feature(const row_state& row) const {
    const T* const s = row.main.student;
    return std::any_of(s, s + classes_, [](T x) { return x <= masked_logit<T>; }) ? fault::student_number
                                                                                 : fault::teacher_number;
  }

  /// How many of a pack are no numbers of a logit, or masked.
  LIMBECK_HOST_INLINE static X outside_of(const T* x) {
    return select(abs(X::from(Lanes::load(x))) < X(-masked_logit<T>), X(T(0)), X(T(1)));
  }

  /// For tensors of which there is no softmax, which would have found these.
  [[gnu::noinline]] fault check_logits(row_state& row) const {
    const auto bad = [&](const T* x, std::size_t classes, bool& shows) {
      if (x && classes > 0 && all_within(x, classes, -masked_logit<T>)) return false;
      bool any = !over_ranks && x == nullptr;
      for (std::size_t c = 0; x && c < classes; ++c) {
        if (!(x[c] <= -masked_logit<T>)) return true;
        (x[c] > masked_logit<T> ? any : row.masks) = true;
      }
      shows = any;
      return !over_ranks && !any;
    };
    return !sees_student && bad(row.main.student, classes_, row.shows[0])      ? fault::student
           : !sees_teacher && bad(row.teacher, teacher_classes_, row.shows[1]) ? fault::teacher
                                                                               : fault::none;
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
