package triton.flink;

import java.time.Duration;
import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.api.ValidationException;
import org.apache.flink.table.factories.ModelProviderFactory;
import org.apache.flink.table.ml.ModelProvider;

/** Makes the model provider that {@code 'provider' = 'triton'} names. */
public class TritonModelProviderFactory implements ModelProviderFactory {
    @Override
    public ModelProvider createModelProvider(Context context) {
        // All options and columns are checked in Rust, so that every problem is told at once and
        // in the words that users of the other front ends read, too.
        NativeLibrary.load();
        try {
            NativeLibrary.check(ModelDescription.of(context.getCatalogModel(), Duration.ZERO));
        } catch (TritonException error) {
            throw new ValidationException(error.getMessage());
        } finally {
            NativeLog.write();
        }
        return new TritonModelProvider(context.getConfiguration());
    }

    @Override
    public String factoryIdentifier() {
        return "triton";
    }

    @Override
    public Set<ConfigOption<?>> requiredOptions() {
        return TritonModelOptions.REQUIRED;
    }

    @Override
    public Set<ConfigOption<?>> optionalOptions() {
        return TritonModelOptions.OPTIONAL;
    }
}
