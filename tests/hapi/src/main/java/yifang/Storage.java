package yifang;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.IDaoRegistry;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.config.util.ResourceCountCacheUtil;
import ca.uhn.fhir.jpa.dao.FulltextSearchSvcImpl;
import ca.uhn.fhir.jpa.dao.IFulltextSearchSvc;
import ca.uhn.fhir.jpa.dao.search.HSearchSortHelperImpl;
import ca.uhn.fhir.jpa.dao.search.IHSearchSortHelper;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect;
import ca.uhn.fhir.jpa.provider.DaoRegistryResourceSupportedSvc;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.search.IStaleSearchDeletingSvc;
import ca.uhn.fhir.jpa.search.StaleSearchDeletingSvcImpl;
import ca.uhn.fhir.jpa.searchparam.submit.config.SearchParamSubmitterConfig;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.jpa.util.LoggingEmailSender;
import ca.uhn.fhir.jpa.util.ResourceCountCache;
import ca.uhn.fhir.rest.api.IResourceSupportedSvc;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.util.Map;
import javax.sql.DataSource;
import org.apache.commons.dbcp2.BasicDataSource;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/**
 * The beans of HAPI's JPA server: strict references, no cached searches, everything else HAPI's own default. On H2 in memory, or on the empty
 * PostgreSQL database that YIFANG_HAPI_JDBC, YIFANG_HAPI_USER and YIFANG_HAPI_PASSWORD name.
 */
@Configuration
@Import({
	JpaR4Config.class, ThreadPoolFactoryConfig.class, JpaBatch2Config.class, Batch2JobsConfig.class, SearchParamSubmitterConfig.class,
	SubscriptionSubmitterConfig.class, SubscriptionProcessorConfig.class, SubscriptionChannelConfig.class
})
public class Storage {
	private static final String JDBC = setting("YIFANG_HAPI_JDBC", "jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1");

	private static String setting(String name, String otherwise) {
		return System.getenv().getOrDefault(name, otherwise);
	}

	@Bean
	JpaStorageSettings jpaStorageSettings() {
		var settings = new JpaStorageSettings();
		settings.setEnforceReferentialIntegrityOnWrite(true); // a reference to what is not there is refused (HAPI-1094)
		settings.setEnforceReferentialIntegrityOnDelete(true);
		settings.setReuseCachedSearchResultsForMillis(null); // a search sees what was just written
		return settings;
	}

	@Bean
	DataSource dataSource() {
		var pool = new BasicDataSource();
		pool.setUrl(JDBC);
		pool.setUsername(setting("YIFANG_HAPI_USER", "sa"));
		pool.setPassword(setting("YIFANG_HAPI_PASSWORD", ""));
		pool.setMaxTotal(16);
		return pool;
	}

	@Bean
	@Primary
	LocalContainerEntityManagerFactoryBean entityManagerFactory(
			DataSource pool, ConfigurableListableBeanFactory beans, FhirContext fhir, JpaStorageSettings settings) {
		var factory = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
		factory.setPersistenceUnitName("HAPI_PU");
		factory.setDataSource(pool);
		var dialect = JDBC.startsWith("jdbc:postgresql:") ? HapiFhirPostgresDialect.class : HapiFhirH2Dialect.class;
		factory.setJpaPropertyMap(Map.of(
				"hibernate.hbm2ddl.auto", "create",
				"hibernate.search.enabled", "false",
				"hibernate.jdbc.batch_size", "20",
				"hibernate.dialect", dialect.getName()));
		return factory;
	}

	@Bean
	@Primary
	JpaTransactionManager transactionManager(EntityManagerFactory factory) {
		return new JpaTransactionManager(factory);
	}

	// What HAPI leaves to the application, in its simplest form.

	@Bean
	PartitionSettings partitionSettings() {
		return new PartitionSettings();
	}

	@Bean
	SubscriptionSettings subscriptionSettings() {
		return new SubscriptionSettings();
	}

	@Bean
	IFulltextSearchSvc fullTextSearch() {
		return new FulltextSearchSvcImpl();
	}

	@Bean
	IHSearchSortHelper sortHelper(ISearchParamRegistry parameters) {
		return new HSearchSortHelperImpl(parameters);
	}

	@Bean
	IStaleSearchDeletingSvc staleSearchDeleting() {
		return new StaleSearchDeletingSvcImpl();
	}

	@Bean
	DatabaseBackedPagingProvider paging() {
		return new DatabaseBackedPagingProvider();
	}

	@Bean
	IResourceSupportedSvc supportedResources(IDaoRegistry registry) {
		return new DaoRegistryResourceSupportedSvc(registry);
	}

	@Bean(name = "myResourceCountsCache")
	ResourceCountCache resourceCounts(IFhirSystemDao<?, ?> system) {
		return ResourceCountCacheUtil.newResourceCountCache(system);
	}

	@Bean
	IBinaryStorageSvc binaryStorage() {
		return new MemoryBinaryStorageSvcImpl();
	}

	@Bean
	IEmailSender emailSender() {
		return new LoggingEmailSender();
	}
}
