#pragma once
// A question whose answer a server puts in one place for all sessions: one that asks at the same moment may
// be given another's. Asked again and again, what is nearly always said is the session's own.

#include <map>

namespace godwit::mysql {

template <class Answer>
class OwnAnswer {
public:
    static constexpr int kAskedMin = 15, kAskedMax = 1000;
    // Is that the session's own? Else it is to be asked again.
    bool heard(const Answer& said) {
        const int times = ++answers_[said];
        return ++asked_ >= kAskedMin && 10 * times >= 8 * asked_;
    }
    // It cannot be told.
    [[nodiscard]] bool given_up() const { return asked_ >= kAskedMax; }

private:
    std::map<Answer, int> answers_;
    int asked_ = 0;
};

}  // namespace godwit::mysql
