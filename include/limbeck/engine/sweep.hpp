#ifndef LIMBECK_ENGINE_SWEEP_HPP
#define LIMBECK_ENGINE_SWEEP_HPP

/// @file
/// The host sweep: rows of memory, in packs, over an executor.
///
/// Rows are taken in blocks that stay in cache: several short rows at once, so that their logarithms are taken in
/// packs and their horizontal sums overlap, or one long one. The exponentials of a block are kept in the workspace.
/// What cannot be read in packs (classes not contiguous, or fewer than one pack) is staged, a block at a time.

#include <limbeck/core/executor.hpp>
#include <limbeck/core/workspace.hpp>
#include <limbeck/engine/row.hpp>

#include <algorithm>
#include <atomic>

LIMBECK_BEGIN_NAMESPACE
namespace detail {

/// One position of the host sweep: a pack of classes. The last pack of a row may reach back over classes already
/// seen; `new_lanes` (1 or 0) tells which lanes are not, and the others read as masked.
template <class Lanes, bool Tail>
struct host_position {
  using X = pack<Lanes>;
  using T = typename Lanes::scalar;
  const T* student;
  const T* teacher;
  const T* soft;
  const T* masked_bias;
  const T* rest_bias;
  std::size_t class_count;
  X new_lanes;

  template <class Who, class Domain>
  LIMBECK_INLINE X logit() const {
    X x = X::from(Lanes::load(std::is_same_v<Who, student_side> ? student : teacher));
    if constexpr (std::is_same_v<Domain, masked>) x += X::from(Lanes::load(masked_bias));
    if constexpr (std::is_same_v<Domain, non_target>) x += X::from(Lanes::load(rest_bias));
    const X low(masked_logit<T>);
    x = max(low, x);
    if constexpr (Tail) x = select(new_lanes > X(T(0)), x, low);
    return x;
  }
  LIMBECK_INLINE X soft_label() const { return inside(X::from(Lanes::load(soft))); }
  /// x, and 0 in lanes already seen.
  LIMBECK_INLINE X inside(const X& x) const {
    if constexpr (Tail) {
      return select(new_lanes > X(T(0)), x, X(T(0)));
    } else {
      return x;
    }
  }
  template <class Y>
  LIMBECK_INLINE Y classes() const {
    return Y(static_cast<T>(class_count));
  }
};

template <class T, class Lanes, class Terms, class Mode>
class host_sweep {
  using X = pack<Lanes>;
  using Plan = typename plan_of<Terms>::type;
  static constexpr std::size_t L = static_cast<std::size_t>(X::lanes);
  static constexpr std::size_t max_block = 8;
  static constexpr bool classwise = plan_has_classes<Mode, Plan>::value;
  static constexpr std::size_t NS = at_least_one(Plan::softmaxes::size);

  const problem<T>& in_;
  const Terms terms_;
  std::size_t classes_, padded_, block_;
  bool stage_student_, stage_teacher_, stage_soft_, stage_gradient_;
  alignas(64) T tail_lanes_[L];
  std::size_t per_worker_;  // scalars
  T* scratch_;              // per_worker_ * workers
  T* masked_bias_;
  double* values_;        // one a row
  double* temperatures_;  // learned, one a row each

 public:
  host_sweep(const problem<T>& in, const Terms& terms) : in_(in), terms_(terms), classes_(in.classes()) {
    padded_ = (classes_ + L - 1) / L * L;
    block_ = std::clamp<std::size_t>(1024 / std::max<std::size_t>(classes_, 1), 1, max_block);
    const auto needs_staging = [&](const auto& x) { return x.data && (x.class_stride != 1 || classes_ < L); };
    stage_student_ = needs_staging(in.student);
    stage_teacher_ = needs_staging(in.teacher);
    stage_soft_ = needs_staging(in.soft_labels);
    stage_gradient_ = needs_staging(in.gradient);
    if (stage_student_ || stage_teacher_ || stage_soft_ || stage_gradient_) block_ = max_block;
    const std::size_t rest = classes_ % L;
    for (std::size_t i = 0; i < L; ++i)
      tail_lanes_[i] = classes_ < L ? T(i < classes_ ? 1 : 0) : T(i >= L - rest ? 1 : 0);
  }

  template <class Executor>
  evaluation run(workspace& ws, Executor& executor) {
    const std::size_t samples = in_.samples();
    const std::size_t workers = std::max<std::size_t>(1, executor.workers());
    const std::size_t staged = std::size_t{stage_student_} + std::size_t{stage_teacher_} + std::size_t{stage_soft_} +
                               std::size_t{stage_gradient_};
    per_worker_ = block_ * padded_ * (Plan::softmaxes::size + staged) + padded_ * (1 + Plan::rowwise_scratch);
    per_worker_ = (per_worker_ + 31) / 16 * 16;
    const std::size_t doubles = samples * (1 + Plan::learned);
    std::byte* memory =
        ws.reserve(doubles * sizeof(double) + 64 + (padded_ + 64 + per_worker_ * workers) * sizeof(T));
    values_ = reinterpret_cast<double*>(memory);
    temperatures_ = values_ + samples;
    scratch_ = reinterpret_cast<T*>(memory + (doubles * sizeof(double) + 63) / 64 * 64);
    masked_bias_ = scratch_ + per_worker_ * workers;
    if constexpr (Plan::template uses_domain<masked>) {
      for (std::size_t c = 0; c < padded_; ++c)
        masked_bias_[c] = c < classes_ && in_.class_mask.number(c) != 0 ? T(0) : -std::numeric_limits<T>::infinity();
    }
    std::atomic<std::size_t> bad_row{samples};
    std::atomic<int> bad_code{0};
    const auto report = [&](std::size_t r, fault code) {
      std::size_t seen = bad_row.load();
      while (r < seen) {
        if (bad_row.compare_exchange_weak(seen, r)) bad_code.store(static_cast<int>(code));
      }
    };
    // tasks of at least 32k elements, of whole blocks: the blocks are the same for any number of workers
    const std::size_t per_task =
        block_ * std::max<std::size_t>(1, (std::size_t{1} << 15) / std::max<std::size_t>(1, block_ * padded_));
    const std::size_t tasks = (samples + per_task - 1) / per_task;
    executor(tasks, [&](std::size_t task, std::size_t worker) {
      const std::size_t last = std::min(samples, (task + 1) * per_task);
      for (std::size_t r = task * per_task; r < last && bad_row.load(std::memory_order_relaxed) == samples;
           r += block_)
        block(r, std::min(last, r + block_) - r, scratch_ + worker * per_worker_, report);
    });
    if (const std::size_t r = bad_row.load(); r < samples) throw_fault(in_, first_fault(r), r);

    evaluation e;
    for (std::size_t r = 0; r < samples; ++r) {
      if (in_.row_losses) in_.row_losses[r] = static_cast<T>(values_[r]);
      if (!in_.valid(r)) continue;
      const double w = in_.weight(r);
      e.rows += 1;
      e.weight += w;
      if (w != 0) e.loss += w * values_[r];
      for (std::size_t i = 0; i < Plan::learned; ++i) e.temperature_gradient[i] += temperatures_[r * Plan::learned + i];
    }
    e.loss *= in_.normalizer;
    return e;
  }

 private:
  /// Which of several threads reported first is chance; what is wrong with the row is not.
  [[gnu::noinline]] fault first_fault(std::size_t r) {
    fault found = fault::none;
    const auto report = [&](std::size_t, fault code) { found = code; };
    block(r, 1, scratch_, report);
    return found;
  }

  /// body(offset into the tensors, offset into the scratch, is_tail) for every pack of a row.
  template <class Body>
  LIMBECK_INLINE void each_pack(Body&& body) const {
    const std::size_t whole = classes_ / L;
    for (std::size_t i = 0; i < whole; ++i) body(i * L, i * L, std::false_type{});
    if (whole * L != classes_) body(classes_ < L ? 0 : classes_ - L, whole * L, std::true_type{});
  }
  /// The same with sums that are merged every 64 packs: the rounding error of a long row grows with the number of
  /// merges, not with the number of classes.
  template <class Sums, class Body>
  LIMBECK_INLINE Sums sum_packs(Body&& body) const {
    const auto clear = [](Sums& sums) LIMBECK_LAMBDA_INLINE {
      for_each_index<Sums::size>([&](auto k) LIMBECK_LAMBDA_INLINE { sums.sum[k] = X(T(0)); });
    };
    const std::size_t whole = classes_ / L;
    Sums total;
    clear(total);
    std::size_t i = 0;
    while (i < whole) {
      Sums part;
      clear(part);
      const std::size_t stop = std::min(whole, i + 64);
      for (; i < stop; ++i) body(i * L, i * L, std::false_type{}, part);
      for_each_index<Sums::size>([&](auto k) LIMBECK_LAMBDA_INLINE { total.sum[k] += part.sum[k]; });
    }
    if (whole * L != classes_) body(classes_ < L ? 0 : classes_ - L, whole * L, std::true_type{}, total);
    return total;
  }

  template <class V>
  static void stage(const rows<const T>& x, std::size_t first, std::size_t count, std::size_t padded, V* out) {
    for (std::size_t r = 0; r < count; ++r)
      for (std::size_t c = x.classes; c < padded; ++c) out[r * padded + c] = T(0);
    // the shorter stride runs innermost
    if (x.class_stride < 0 ? false : x.sample_stride < x.class_stride) {
      for (std::size_t c = 0; c < x.classes; ++c)
        for (std::size_t r = 0; r < count; ++r) out[r * padded + c] = x(first + r, c);
    } else {
      for (std::size_t r = 0; r < count; ++r)
        for (std::size_t c = 0; c < x.classes; ++c) out[r * padded + c] = x(first + r, c);
    }
  }

  template <class Report>
  [[gnu::flatten, gnu::noinline]] void block(std::size_t first, std::size_t count, T* scratch, Report& report) {
    // scratch: exponentials of every row, staged rows, a bias row, rowwise scratch
    T* const e = scratch;
    T* next = e + block_ * padded_ * Plan::softmaxes::size;
    const auto staged = [&](bool wanted, const rows<const T>& x) -> T* {
      if (!wanted) return nullptr;
      T* p = next;
      next += block_ * padded_;
      if (x.data) stage(x, first, count, padded_, p);
      return p;
    };
    const T* const student = staged(stage_student_, in_.student);
    const T* const teacher = staged(stage_teacher_, in_.teacher);
    const T* const soft = staged(stage_soft_, in_.soft_labels);
    T* const gradient = staged(stage_gradient_, rows<const T>{});
    T* const rest_bias = next;
    T* const row_scratch = next + padded_;
    if constexpr (Plan::template uses_domain<non_target>) std::fill_n(rest_bias, padded_, T(0));

    const Terms terms = terms_;
    row_numbers<T, Plan> n[max_block];
    T z[max_block * NS + L];
    T low_student[max_block], low_teacher[max_block];
    exponential_sums<T, Plan> sums[max_block];
    std::size_t valid[max_block];
    std::size_t used = 0;

    const auto row_of = [&](const T* staged_rows, const rows<const T>& x, std::size_t i) -> const T* {
      return staged_rows ? staged_rows + i * padded_ : (x.data ? x.row(first + i) : nullptr);
    };
    const auto gradient_row = [&](std::size_t i) -> T* {
      return gradient ? gradient + i * padded_ : in_.gradient.row(first + i);
    };
    const auto at = [&]<bool Tail>(std::bool_constant<Tail>, const T* s, const T* t, const T* y,
                                   std::size_t c) LIMBECK_LAMBDA_INLINE {
      host_position<Lanes, Tail> p;
      p.student = s + c;
      p.teacher = t + c;
      p.soft = y + c;
      p.masked_bias = masked_bias_ + c;
      p.rest_bias = rest_bias + c;
      p.class_count = classes_;
      if constexpr (Tail) p.new_lanes = X::from(Lanes::load(tail_lanes_));
      return p;
    };

    // 1. maxima
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t r = first + i;
      if (!in_.valid(r)) {
        values_[r] = 0;
        for (std::size_t k = 0; k < Plan::learned; ++k) temperatures_[r * Plan::learned + k] = 0;
        if (in_.row_temperature_gradient) in_.row_temperature_gradient[r] = 0;
        if constexpr (Mode::gradient) {
          T* g = gradient_row(i);
          std::fill_n(g, gradient ? padded_ : classes_, T(0));
        }
        continue;
      }
      const std::int64_t y = in_.label(r);
      if (in_.labels.data() && !(y >= 0 && y < static_cast<std::int64_t>(classes_))) return report(r, fault::label);
      valid[used] = i;
      auto& m = n[used];
      if (!start_row<Plan>(in_, terms, r, m)) return report(r, fault::row_temperature);
      const T* const s = row_of(student, in_.student, i);
      const T* const t = row_of(teacher, in_.teacher, i);
      if constexpr (Plan::softmaxes::size > 0) {
        const auto rest_y = static_cast<std::size_t>(y < 0 ? 0 : y);
        if constexpr (Plan::template uses_domain<non_target>)
          rest_bias[rest_y] = -std::numeric_limits<T>::infinity();
        X high[at_least_one(Plan::maxima::size)];
        for (X& x : high) x = X(masked_logit<T>);
        X low_s(std::numeric_limits<T>::infinity()), low_t = low_s;
        each_pack([&](std::size_t c, std::size_t, auto tail) LIMBECK_LAMBDA_INLINE {
          const auto p = at(tail, s, t, static_cast<const T*>(nullptr), c);
          for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t I>() LIMBECK_LAMBDA_INLINE {
            high[I] = max(high[I], p.template logit<typename M::who, typename M::domain>());
          });
          if constexpr (Plan::pairs::size > 0) {
            low_s = min(low_s, X::from(Lanes::load(s + c)));
            low_t = min(low_t, X::from(Lanes::load(t + c)));
          }
        });
        for_each_index<Plan::maxima::size>(
            [&](auto k) LIMBECK_LAMBDA_INLINE { m.maximum[k] = extremum<true>(high[k]); });
        if constexpr (Plan::pairs::size > 0) {
          low_student[used] = extremum<false>(low_s);
          low_teacher[used] = extremum<false>(low_t);
        }
        for_each_key(typename Plan::pairs{}, [&]<class P, std::size_t J>() LIMBECK_LAMBDA_INLINE {
          m.shift[J] = m.maximum[Plan::maxima::template index<typename P::teacher::maximum>()] -
                       m.maximum[Plan::maxima::template index<typename P::student::maximum>()];
        });

        // 2. exponentials
        const auto nx = m.template broadcast<X>();
        auto packs = sum_packs<exponential_sums<X, Plan>>(
            [&](std::size_t c, std::size_t o, auto tail, auto& part) LIMBECK_LAMBDA_INLINE {
              X values[NS];
              exponentials(nx, at(tail, s, t, static_cast<const T*>(nullptr), c), values, part);
              for_each_index<Plan::softmaxes::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
                Lanes::store(e + (used * Plan::softmaxes::size + k) * padded_ + o, values[k].v);
              });
            });
        reduce(packs, sums[used]);
        if constexpr (Plan::template uses_domain<non_target>) rest_bias[rest_y] = T(0);
      }
      ++used;
    }

    // 3. normalisers, their logarithms in packs
    if constexpr (Plan::softmaxes::size > 0) {
      const std::size_t total = used * Plan::softmaxes::size;
      for (std::size_t u = 0; u < used; ++u)
        for (std::size_t k = 0; k < Plan::softmaxes::size; ++k) z[u * Plan::softmaxes::size + k] = sums[u].z(k);
      for (std::size_t k = total; k < (total + L - 1) / L * L; ++k) z[k] = T(1);
      for (std::size_t k = 0; k < total; k += L) Lanes::store(z + k, log_positive(X::from(Lanes::load(z + k))).v);
      for (std::size_t u = 0; u < used; ++u) {
        for (std::size_t k = 0; k < Plan::softmaxes::size; ++k) n[u].log_z[k] = z[u * Plan::softmaxes::size + k];
        if (const fault bad = solve(n[u], sums[u]); bad != fault::none) return report(first + valid[u], bad);
      }
    }

    // 4. and 5. values, flows, gradient
    for (std::size_t u = 0; u < used; ++u) {
      const std::size_t i = valid[u], r = first + i;
      const T* const s = row_of(student, in_.student, i);
      const T* const t = row_of(teacher, in_.teacher, i);
      const T* const y = row_of(soft, in_.soft_labels, i);
      T* const g = Mode::gradient ? gradient_row(i) : nullptr;
      const T* const exps = e + u * Plan::softmaxes::size * padded_;
      const auto label = static_cast<std::size_t>(in_.label(r) < 0 ? 0 : in_.label(r));
      if constexpr (Plan::template uses_domain<non_target>) rest_bias[label] = -std::numeric_limits<T>::infinity();
      const auto nx = n[u].template broadcast<X>();
      flow_sums<T, Plan, Mode> total{};
      if constexpr (classwise) {
        auto packs = sum_packs<flow_sums<X, Plan, Mode>>(
            [&](std::size_t c, std::size_t o, auto tail, auto& part) LIMBECK_LAMBDA_INLINE {
              X values[NS];
              for_each_index<Plan::softmaxes::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
                values[k] = X::from(Lanes::load(exps + k * padded_ + o));
              });
              const auto p = at(tail, s, t, y, c);
              X flow = flows<Plan, Mode>(nx, terms, p, values, part);
              if constexpr (Mode::gradient) {
                if constexpr (decltype(tail)::value)
                  flow = select(p.new_lanes > X(T(0)), flow, X::from(Lanes::load(g + c)));
                Lanes::store(g + c, flow.v);
              }
            });
        reduce(packs, total);
        if constexpr (Mode::soft_labels && Plan::uses_soft_labels) {
          if (!(total.soft_low() >= 0 && total.soft_sum() < std::numeric_limits<T>::infinity()))
            return report(r, fault::soft_labels);
        }
      }
      T label_logits[at_least_one(Plan::maxima::size)]{};
      for_each_key(typename Plan::maxima{}, [&]<class M, std::size_t I>() LIMBECK_LAMBDA_INLINE {
        label_logits[I] = std::max(masked_logit<T>, (std::is_same_v<typename M::who, student_side> ? s : t)[label]);
      });
      const T student_mean = wants_mean(terms) ? mean_logit(s) : T(0);
      auto result = finish<Plan, Mode>(in_, n[u], terms, total, label_logits, student_mean);
      if constexpr (Plan::pairs::size > 0) {
        if (low_student[u] < -std::numeric_limits<T>::max() || low_teacher[u] < -std::numeric_limits<T>::max())
          if (infinite(terms, s, t, exps, in_.label(r))) result.value = std::numeric_limits<T>::infinity();
      }
      if constexpr (classwise && (Plan::softmaxes::size == 0)) {
        if (!(total.value() - total.value() == 0)) {  // logitwise terms alone: nothing has looked at the logits yet
          if (const fault bad = check_logits(s, t); bad != fault::none) return report(r, bad);
        }
      }
      if constexpr (Mode::gradient) {
        write_gradient(n[u], result, exps, g);
        if (result.label != 0) g[label] += result.label;
        finish_temperatures(result, r);
      }
      if constexpr (Plan::template any<rowwise>) {
        double value = static_cast<double>(result.value);
        for_each_index<Plan::size>([&](auto k) {
          const auto& term = terms[hana::size_c<k>];
          using Term = std::remove_cvref_t<decltype(term)>;
          if constexpr (is<typename Term::loss_type, rowwise>) {
            row<T> whole{{s, classes_},
                         {t, t ? classes_ : 0},
                         in_.label(r),
                         T(1) / n[u].inverse_t[Plan::slots::template index<typename Term::student_slot>()],
                         T(1),
                         {row_scratch, padded_ * scratch_rows<typename Term::loss_type>()},
                         {g, g ? classes_ : 0},
                         static_cast<T>(static_cast<double>(n[u].value_weight[k]) * in_.weight(r) * in_.normalizer)};
            if constexpr (needs_teacher<typename Term::loss_type>())
              whole.teacher_temperature =
                  T(1) / n[u].inverse_t[Plan::slots::template index<typename Term::teacher_slot>()];
            value += static_cast<double>(n[u].value_weight[k]) * static_cast<double>(term.loss(whole));
          }
        });
        if constexpr (Plan::softmaxes::size == 0) {
          if (const fault bad = check_logits(s, t); bad != fault::none) return report(r, bad);
        }
        values_[r] = value;
      } else {
        values_[r] = static_cast<double>(result.value);
      }
      if constexpr (Plan::template uses_domain<non_target>) rest_bias[label] = T(0);
    }

    if constexpr (Mode::gradient) {
      if (gradient)
        for (std::size_t i = 0; i < count; ++i)
          for (std::size_t c = 0; c < classes_; ++c) in_.gradient(first + i, c) = gradient[i * padded_ + c];
    }
  }

  template <bool Highest>
  LIMBECK_INLINE static T extremum(const X& x) {
    alignas(64) T lane[L];
    Lanes::store(lane, x.v);
    T best = lane[0];
    for (std::size_t i = 1; i < L; ++i) best = (Highest ? lane[i] > best : lane[i] < best) ? lane[i] : best;
    return best;
  }
  template <class From, class To>
  LIMBECK_INLINE static void reduce(const From& from, To& to) {
    for_each_index<From::size>([&](auto k) LIMBECK_LAMBDA_INLINE { to.sum[k] = Lanes::sum(from.sum[k].v); });
  }

  LIMBECK_INLINE void write_gradient(const row_numbers<T, Plan>& n, const row_finish<T, Plan>& result, const T* exps,
                                     T* g) const {
    X coefficient[NS];
    for_each_index<Plan::softmaxes::size>([&](auto k) LIMBECK_LAMBDA_INLINE {
      coefficient[k] = X(result.coefficient[k] * n.inverse_z[k]);
    });
    const X uniform(result.uniform);
    each_pack([&](std::size_t c, std::size_t o, auto tail) LIMBECK_LAMBDA_INLINE {
      X x = classwise || decltype(tail)::value ? X::from(Lanes::load(g + c)) : X(T(0));
      const X before = x;
      if constexpr (!classwise) x = X(T(0));
      x += uniform;
      for_each_key(typename Plan::softmaxes{}, [&]<class K, std::size_t I>() LIMBECK_LAMBDA_INLINE {
        if constexpr (std::is_same_v<typename K::who, student_side>)
          x += coefficient[I] * X::from(Lanes::load(exps + I * padded_ + o));
      });
      if constexpr (decltype(tail)::value) x = select(X::from(Lanes::load(tail_lanes_)) > X(T(0)), x, before);
      Lanes::store(g + c, x.v);
    });
  }

  void finish_temperatures(const row_finish<T, Plan>& result, std::size_t r) {
    std::size_t learned = 0;
    for_each_key(typename Plan::slots{}, [&]<class S, std::size_t I>() {
      if constexpr (is_learned<S>)
        temperatures_[r * Plan::learned + learned++] = static_cast<double>(result.temperature_gradient[I]);
      if constexpr (Mode::row_temperature_gradient && std::is_same_v<S, row_slot>)
        in_.row_temperature_gradient[r] = result.temperature_gradient[I];
    });
    (void)learned;
    (void)result;
    (void)r;
  }

  static bool wants_mean(const Terms& terms) {
    bool any = false;
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms[hana::size_c<k>];
      using Loss = typename std::remove_cvref_t<decltype(term)>::loss_type;
      if constexpr (requires(const Loss& l) { l.wants_mean(); }) any = any || term.loss.wants_mean();
    });
    return any;
  }
  [[gnu::noinline]] T mean_logit(const T* s) const {
    double total = 0;
    for (std::size_t c = 0; c < classes_; ++c) total += static_cast<double>(s[c]);
    return static_cast<T>(total / static_cast<double>(classes_));
  }

  /// A row with masked classes: is one of the pointwise sums infinite?
  [[gnu::noinline]] bool infinite(const Terms& terms, const T* s, const T* t, const T* exps, std::int64_t label) const {
    bool result = false;
    const std::size_t whole = classes_ / L * L;
    for_each_index<Plan::size>([&](auto k) {
      const auto& term = terms[hana::size_c<k>];
      using Term = std::remove_cvref_t<decltype(term)>;
      using Loss = typename Term::loss_type;
      if constexpr (is<Loss, pointwise>) {
        using P = pair_key<typename Term::student_slot, typename Term::teacher_slot, typename Term::domain>;
        const T* es = exps + Plan::softmaxes::template index<typename P::student>() * padded_;
        const T* et = exps + Plan::softmaxes::template index<typename P::teacher>() * padded_;
        bool student_masked = false, teacher_masked = false;
        for (std::size_t c = 0; c < classes_; ++c) {
          if (std::is_same_v<typename Term::domain, non_target> && static_cast<std::int64_t>(c) == label) continue;
          if (std::is_same_v<typename Term::domain, masked> && masked_bias_[c] != 0) continue;
          const std::size_t o = c < whole || classes_ < L ? c : whole + (c - (classes_ - L));
          student_masked = student_masked || (s[c] < -std::numeric_limits<T>::max() && et[o] > 0);
          teacher_masked = teacher_masked || (t[c] < -std::numeric_limits<T>::max() && es[o] > 0);
        }
        result = result || (term.weight != 0 && ((student_masked && diverges<T>(term.loss, true)) ||
                                                 (teacher_masked && diverges<T>(term.loss, false))));
      }
    });
    return result;
  }

  [[gnu::noinline]] fault check_logits(const T* s, const T* t) const {
    const auto bad = [&](const T* x) {
      bool any = false;
      for (std::size_t c = 0; x && c < classes_; ++c) {
        if (!(x[c] <= std::numeric_limits<T>::max())) return true;
        any = any || x[c] >= -std::numeric_limits<T>::max();
      }
      return x && !any;
    };
    return bad(s) ? fault::student : bad(t) ? fault::teacher : fault::none;
  }
};

}  // namespace detail
LIMBECK_END_NAMESPACE

#endif
