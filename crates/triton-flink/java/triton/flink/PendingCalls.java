package triton.flink;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The rows that are not answered, by their numbers.
 *
 * <p>Numbers go up, and most rows are answered soon, so that their place among the latest ones is
 * all that has to be looked at. What is older than those stands apart.
 */
final class PendingCalls<C> {
    private static final int LATEST = 1 << 12;

    private final Object[] latest = new Object[LATEST];
    private final long[] numbers = new long[LATEST];
    private final Map<Long, C> older = new HashMap<>();

    void add(long number, C call) {
        int place = place(number);
        C before = call(place);
        if (before != null) {
            older.put(numbers[place], before);
        }
        latest[place] = call;
        numbers[place] = number;
    }

    /** Takes a call away; null where there is none of this number. */
    C take(long number) {
        int place = place(number);
        C call = call(place);
        if (call != null && numbers[place] == number) {
            latest[place] = null;
            return call;
        }
        return older.isEmpty() ? null : older.remove(number);
    }

    /** Takes all calls away. */
    List<C> takeAll() {
        List<C> all = new ArrayList<>(older.values());
        older.clear();
        for (int place = 0; place < LATEST; place++) {
            C call = call(place);
            if (call != null) {
                all.add(call);
                latest[place] = null;
            }
        }
        return all;
    }

    @SuppressWarnings("unchecked")
    private C call(int place) {
        return (C) latest[place];
    }

    private static int place(long number) {
        return (int) number & (LATEST - 1);
    }
}
