import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.factories.FactoryUtil;
import org.apache.flink.table.factories.ModelProviderFactory;
import org.apache.flink.table.functions.AsyncPredictFunction;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.ml.AsyncPredictRuntimeProvider;
import org.apache.flink.table.ml.ModelProvider;

/**
 * The provider {@code echo-in-java}, which answers a FLOAT with itself: what Flink needs for
 * ML_PREDICT alone, without a server and without a line that is not Java.
 *
 * <p>Measurements compare the provider of this project with it.
 */
public class EchoModelProviderFactory implements ModelProviderFactory {
    @Override
    public String factoryIdentifier() {
        return "echo-in-java";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return Collections.emptySet();
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return Collections.emptySet();
    }

    @Override
    public ModelProvider createModelProvider(Context context) {
        FactoryUtil.createModelProviderFactoryHelper(this, context).validate();
        return new Provider();
    }

    private static final class Provider implements AsyncPredictRuntimeProvider {
        @Override
        public AsyncPredictFunction createAsyncPredictFunction(Context context) {
            return new Echo();
        }

        @Override
        public ModelProvider copy() {
            return this;
        }
    }

    /** Answers in a thread of its own, because an answer from a server comes from one, too. */
    public static final class Echo extends AsyncPredictFunction {
        private static final long serialVersionUID = 1L;

        private transient BlockingQueue<Call> calls;
        private transient Thread thread;

        @Override
        public void open(FunctionContext context) {
            calls = new LinkedBlockingQueue<>();
            thread = new Thread(this::answer, "echo in Java");
            thread.setDaemon(true);
            thread.start();
        }

        @Override
        public CompletableFuture<Collection<RowData>> asyncPredict(RowData row) {
            Call call = new Call(row.getFloat(0));
            calls.add(call);
            return call;
        }

        private void answer() {
            List<Call> waiting = new ArrayList<>();
            try {
                while (true) {
                    waiting.add(calls.take());
                    calls.drainTo(waiting);
                    for (Call call : waiting) {
                        RowData answer = GenericRowData.of(call.value);
                        call.complete(Collections.singletonList(answer));
                    }
                    waiting.clear();
                }
            } catch (InterruptedException closed) {
                // Nobody waits for the rest.
            }
        }

        @Override
        public void close() throws InterruptedException {
            if (thread != null) {
                thread.interrupt();
                thread.join();
            }
        }
    }

    private static final class Call extends CompletableFuture<Collection<RowData>> {
        private final float value;

        Call(float value) {
            this.value = value;
        }
    }
}
