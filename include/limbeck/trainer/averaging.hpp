#ifndef LIMBECK_TRAINER_AVERAGING_HPP
#define LIMBECK_TRAINER_AVERAGING_HPP

/// @file
/// A teacher that follows its student.

#include <limbeck/trainer/concepts.hpp>

LIMBECK_BEGIN_NAMESPACE

/// A callback that calls an averager after each step with the parameters of @p student and the progress of that step.
/// With an averager `in_place` in the trainer's teacher, that is a mean teacher. The averager is saved with the run.
/// Refers to both; an averager passed as an rvalue is owned.
template <class Averager, class Student>
class averaging {
 public:
  /// Of @p s, whose `parameters()` the averager follows.
  averaging(Averager&& a, Student& s) : averager_(std::forward<Averager>(a)), student_(&s) {
    detail::require_follower<std::remove_reference_t<Averager>, Student>();
  }
  void after_step(training_run& run) {
    if constexpr (requires { averager_.update(student_->parameters(), run.now); }) {
      averager_.update(student_->parameters(), run.now);
    } else if constexpr (requires { averager_.update(student_->parameters()); }) {
      averager_.update(student_->parameters());
    }
  }
  template <class Archive>
  void serialize(Archive& archive) {
    static_assert(serializable<std::remove_reference_t<Averager>>,
                  "limbeck: this averager lacks serialize(archive); it is saved with the run");
    if constexpr (serializable<std::remove_reference_t<Averager>>) archive("averager", averager_);
  }

 private:
  Averager averager_;
  Student* student_;
};
/// @cond
template <class A, class S>
averaging(A&&, S&) -> averaging<A, S>;
/// @endcond

LIMBECK_END_NAMESPACE

#endif
