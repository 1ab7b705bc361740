package triton.flink;

import java.util.Set;
import org.apache.flink.configuration.ConfigOption;
import org.apache.flink.table.factories.ModelProviderFactory;
import org.apache.flink.table.ml.ModelProvider;

/** Makes the model provider that {@code 'provider' = 'triton'} names. */
public class TritonModelProviderFactory implements ModelProviderFactory {
    @Override
    public ModelProvider createModelProvider(Context context) {
        // Options are checked when the function is made: if this method fails, Flink shows all of
        // them to the user, and among them such as nobody should see.
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
